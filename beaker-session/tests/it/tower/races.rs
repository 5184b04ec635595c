//! Requests of one session that overlap.

use super::{answer, ask, set_cookie};
use crate::served::Site;

#[tokio::test]
async fn a_change_of_a_session_that_another_request_ended_is_dropped_without_a_cookie() {
    for site in Site::both() {
        let cookie = site.visitor("name", "Ada");
        let passed = ask(&site, &cookie, |lazy| {
            let site = &site;
            let cookie = cookie.clone();
            async move {
                let session = lazy.load_async().await.unwrap();
                session.insert("name", "Eve").unwrap();
                ask(site, &cookie, |lazy| async move {
                    lazy.load_async().await.unwrap().delete().unwrap();
                    answer(200)
                })
                .await;
                answer(200)
            }
        })
        .await;
        assert_eq!((passed.status().as_u16(), passed.body().as_str()), (200, "body"));
        assert_eq!(set_cookie(&passed), None);
        assert_eq!(site.stored(&cookie), None);
        assert_eq!(site.sessions.counts().refused, 1);
    }
}
