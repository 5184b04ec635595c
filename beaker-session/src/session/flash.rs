//! Messages for the visitor's next page.

use serde::{Deserialize, Serialize};

use super::Session;
use crate::Error;
use crate::data::{Change, items};

const KEY: &str = "_flash";

/// The most that wait; of more the oldest go.
const MAX_WAITING: usize = 32;

/// A message that is shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// What kind it is, such as `info` or `error`.
    pub level: String,
    /// The message.
    pub text: String,
}

impl Session {
    /// Leaves a message for the next page that [takes](Self::take_flashes) it. At most 32 wait.
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn flash(&self, level: &str, text: &str) -> Result<(), Error> {
        let flash = Flash { level: level.to_owned(), text: text.to_owned() };
        let pushed = vec![super::encode(flash)?];
        self.change(|open| {
            let waiting = open.get(KEY);
            let waiting = items(waiting.as_deref());
            let taken = waiting[..waiting.len().saturating_sub(MAX_WAITING - 1)].to_vec();
            open.change(KEY, Change::List { taken, pushed });
            Ok(())
        })
    }

    /// Takes the messages that wait, the oldest first.
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn take_flashes(&self) -> Result<Vec<Flash>, Error> {
        self.drain(KEY)
    }

    /// The messages that wait, which stay.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) if something else is kept under `_flash`.
    pub fn flashes(&self) -> Result<Vec<Flash>, Error> {
        self.get(KEY).map(Option::unwrap_or_default)
    }
}
