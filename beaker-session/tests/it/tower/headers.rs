//! What caches are told.

use beaker_session::LazySession;
use http::header::{CACHE_CONTROL, VARY};

use super::{answer, ask, header, set_cookie};
use crate::served::Site;

/// What the handler said of caches, and what the browser gets: of a response that sets a cookie,
/// and of one that does not.
const CACHES: [(&str, &str, &str); 5] = [
    ("", "no-store", ""),
    ("public, max-age=60", "no-store", "public, max-age=60"),
    ("max-age=60, private", "max-age=60, private", "max-age=60, private"),
    ("private=\"Set-Cookie\", max-age=60", "no-store", "private=\"Set-Cookie\", max-age=60"),
    ("no-store", "no-store", "no-store"),
];

#[tokio::test]
async fn no_cache_keeps_a_response_that_sets_a_cookie() {
    let site = Site::memory();
    let cookie = site.visitor("name", "Ada");
    for (said, setting, reading) in CACHES {
        let handler = |change: bool| {
            move |lazy: LazySession| async move {
                let session = lazy.load_async().await.unwrap();
                if change {
                    session.insert("name", "Eve").unwrap();
                }
                let mut answer = answer(200);
                if !said.is_empty() {
                    answer.headers_mut().insert(CACHE_CONTROL, said.parse().unwrap());
                }
                answer
            }
        };
        let set = ask(&site, "", handler(true)).await;
        assert!(set_cookie(&set).is_some());
        assert_eq!(header(&set, CACHE_CONTROL), [setting], "{said}");
        assert_eq!(header(&set, VARY), ["Cookie"]);
        let read = ask(&site, &cookie, handler(false)).await;
        assert_eq!(set_cookie(&read), None);
        assert_eq!(header(&read, CACHE_CONTROL).concat(), reading, "{said}");
        assert_eq!(header(&read, VARY), ["Cookie"]);
    }
}

#[tokio::test]
async fn vary_is_added_to_what_the_handler_said_and_not_twice() {
    let site = Site::memory();
    for (said, expected) in [
        ("Accept", vec!["Accept", "Cookie"]),
        ("Accept, cookie", vec!["Accept, cookie"]),
        ("*", vec!["*"]),
    ] {
        let read = ask(&site, "", |lazy| async move {
            lazy.load_async().await.unwrap();
            let mut answer = answer(200);
            answer.headers_mut().insert(VARY, said.parse().unwrap());
            answer
        })
        .await;
        assert_eq!(header(&read, VARY), expected);
    }
}
