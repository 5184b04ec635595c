//! The session's cookie, taken apart for its owner.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use beaker_session::{CookieConfig, MAX_COOKIE_BYTES, SetCookie};

use crate::html::Html;

/// A cookie that the browser sent: the three parts of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    /// As secret as a password; it is its owner who asked.
    pub(crate) id: String,
    key_number: String,
    signature: String,
}

impl Parts {
    /// Those of the cookie called `name`, if its value has the form of ours.
    pub(crate) fn find(headers: &HeaderMap, name: &str) -> Option<Self> {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs =
            values.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(known, _)| known.trim() == name)?;
        let mut parts = value.trim().split('.').map(str::to_owned);
        let found = Self { id: parts.next()?, key_number: parts.next()?, signature: parts.next()? };
        parts.next().is_none().then_some(found)
    }

    fn value(&self) -> String {
        format!("{}.{}.{}", self.id, self.key_number, self.signature)
    }

    /// The rows of the table: field, value, and what it is for.
    ///
    /// The attributes are read from the header that the library makes of `config` and this value, since
    /// a browser does not send them back.
    pub(crate) fn rows(&self, config: &CookieConfig, idle: Duration) -> Html {
        let header = SetCookie::new(config, self.value(), Some(idle));
        let header = header.map(|cookie| cookie.to_string()).unwrap_or_default();
        let attribute = |name: &str| attribute(&header, name);
        let flag = |name: &str| if attribute(name).is_some() { "yes" } else { "no" }.to_owned();
        let text = |name: &str| attribute(name).unwrap_or("not set").to_owned();
        let size = config.name().len() + self.value().len();
        let id = "•".repeat(self.id.chars().count());
        let age = format!("{} s ({} h)", text("Max-Age"), idle.as_secs() / 3600);
        [
            ("Name", config.name().to_owned(), name_purpose(config.name())),
            ("Secret part", id, "128 random bits that find your session. Who has them is you, so they are not shown. The store knows only their hash."),
            ("Key number", self.key_number.clone(), "Which of the server's keys signed it, so that keys can be changed and nobody is logged out."),
            ("Signature", self.signature.clone(), "HMAC-SHA256. A number that somebody made up is refused, and the store is not even asked."),
            ("Path", text("Path"), "Sent with every request to this host."),
            ("HttpOnly", flag("HttpOnly"), "Scripts cannot read it, not even ours."),
            ("Secure", flag("Secure"), "Sent over https only, or to this machine itself."),
            ("SameSite", text("SameSite"), "A form on another site cannot make your browser send it here."),
            ("Max-Age", age, "How long the browser keeps it: as long as the server keeps an unused session."),
            ("Size", format!("{size} bytes"), size_purpose()),
        ]
        .map(row)
        .into_iter()
        .collect()
    }
}

/// What `name` has in a `Set-Cookie` header; empty for a flag.
fn attribute<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.split(';').skip(1).find_map(|part| {
        let (known, value) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
        known.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn name_purpose(name: &str) -> &'static str {
    match name.starts_with("__Host-") {
        true => {
            "The prefix makes the browser refuse it from any other host, without Secure, or with another path."
        }
        false => "What the browser calls it.",
    }
}

const fn size_purpose() -> &'static str {
    const { assert!(MAX_COOKIE_BYTES == 4096) };
    "Name and value together. Browsers drop what is over 4,096; your data is in the store, so this never grows."
}

fn row((field, value, purpose): (&'static str, String, &'static str)) -> Html {
    let id = match field {
        "Secret part" => " id=\"secret\"",
        "Signature" => " id=\"signature\"",
        _ => "",
    };
    Html::filled(
        include_str!("../templates/cookie-row.html"),
        &[
            ("field", Html::fixed(field)),
            ("id", Html::fixed(id)),
            ("value", Html::text(value)),
            ("purpose", Html::fixed(purpose)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn found(header: &'static str) -> Option<Parts> {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static(header));
        Parts::find(&headers, "__Host-id")
    }

    #[test]
    fn the_parts_are_found_among_other_cookies() {
        let parts = found("a=b; __Host-id=one.two.three; c=d").unwrap();
        assert_eq!(parts.value(), "one.two.three");
        for other in ["a=b", "__Host-id=one.two", "__Host-id=1.2.3.4", "x__Host-id=1.2.3"] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn the_secret_is_not_in_the_rows_and_the_attributes_are() {
        let parts = found("__Host-id=AAAAAAAAAAAAAAAAAAAAAA.bbbb.cccc").unwrap();
        let rows = parts.rows(&CookieConfig::new(), Duration::from_secs(7200));
        let rows = rows.as_str();
        assert!(!rows.contains("AAAA"), "{rows}");
        for value in ["__Host-id", "bbbb", "cccc", "Lax", "7200 s (2 h)", "41 bytes"] {
            assert!(rows.contains(&format!(">{value}</code>")), "{value} in {rows}");
        }
        assert_eq!(rows.matches(">yes</code>").count(), 2);
    }

    #[test]
    fn the_cookie_for_plain_http_is_not_secure() {
        let parts = found("__Host-id=a.b.c").unwrap();
        let rows = parts.rows(&CookieConfig::insecure_for_development(), Duration::from_secs(1));
        assert_eq!(rows.as_str().matches(">no</code>").count(), 1);
    }
}
