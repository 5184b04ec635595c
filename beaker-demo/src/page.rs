//! The page, put together from its parts.

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use beaker_namespace::StoreUrl;
use beaker_session::LazySession;
use serde::Deserialize;

use crate::answer::Failure;
use crate::app::{App, Shared};
use crate::args::Exit;
use crate::cookie::Parts;
use crate::html::Html;
use crate::place::{FRESH, STALE};
use crate::reports::{self, Kind, TAGS};
use crate::visitor::{self, Shown, Visitor};

/// For who has logged in, and comes back without a cookie.
const NOT_KEPT: &str = "Your browser did not keep the cookie: some keep no Secure cookie over plain \
                        http. Start the demo with --insecure-cookie to use such a one.";

/// The parts in their order: the anchor, and what the navigation calls it.
const PARTS: [(&str, &str); 8] = [
    ("session", "Log in"),
    ("counter", "Counter"),
    ("everywhere", "Sessions"),
    ("report", "Slow report"),
    ("burst", "500 at once"),
    ("tags", "Tags"),
    ("restart", "Kill"),
    ("store", "Store"),
];

/// The query of `GET /`.
#[derive(Debug, Deserialize)]
pub(crate) struct After {
    /// Set by the answer to a login, which sent a cookie.
    kept: Option<String>,
}

/// `GET /`.
pub(crate) async fn home(
    State(app): State<Shared>,
    Query(after): Query<After>,
    lazy: LazySession,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let visitor = visitor::visitor(&app, &lazy).await?;
    let visitor = visitor.as_ref();
    let states = reports::states(&app).await?;
    let sections = [
        session(&app, visitor, &headers),
        counter(visitor),
        everywhere(visitor),
        report(&states),
        burst(),
        tags(&states),
        restart(&app),
        store(&app),
    ];
    let trouble = match (after.kept, visitor) {
        (Some(_), None) => NOT_KEPT,
        _ => "",
    };
    let caches = app.place.caches();
    let page = Html::filled(
        include_str!("../templates/page.html"),
        &[
            ("started", Html::text(app.process.started_ms())),
            ("pid", Html::text(app.process.pid)),
            ("store", Html::text(caches.url.scheme())),
            ("dir", Html::text(app.dir.display())),
            ("trouble", Html::fixed(trouble)),
            ("hidden", Html::fixed(if trouble.is_empty() { " hidden" } else { "" })),
            ("nav", PARTS.iter().map(link).collect()),
            ("sections", sections.into_iter().collect()),
        ],
    );
    Ok(page.into_response())
}

/// A page of facts alone, for browsers without scripts.
pub(crate) fn facts_page(title: &str, facts: &[(&'static str, String)]) -> Html {
    Html::filled(
        include_str!("../templates/facts.html"),
        &[("title", Html::text(title)), ("facts", listed(facts))],
    )
}

fn link((anchor, name): &(&'static str, &'static str)) -> Html {
    let values = [("anchor", Html::fixed(anchor)), ("name", Html::fixed(name))];
    Html::filled("<a href=\"#{{anchor}}\">{{name}}</a>", &values)
}

/// Names and values, as the rows of a description list.
fn listed(facts: &[(&'static str, String)]) -> Html {
    let row = |(name, value): &(&'static str, String)| {
        let values = [("name", Html::fixed(name)), ("value", Html::text(value))];
        Html::filled("<div><dt>{{name}}</dt><dd>{{value}}</dd></div>", &values)
    };
    facts.iter().map(row).collect()
}

fn session(app: &App, visitor: Option<&Visitor>, headers: &HeaderMap) -> Html {
    let cookie = &app.visitors.cookie;
    let (Some(visitor), Some(parts)) = (visitor, Parts::find(headers, cookie.name())) else {
        return Html::fixed(include_str!("../templates/login.html"));
    };
    let development = match cookie.name().starts_with("__Host-") {
        true => "",
        false => {
            " (Started with --insecure-cookie: this one is for plain http, and not for a real site.)"
        }
    };
    Html::filled(
        include_str!("../templates/session.html"),
        &[
            ("name", Html::text(&visitor.name)),
            ("development", Html::fixed(development)),
            ("fields", parts.rows(cookie, visitor::IDLE)),
        ],
    )
}

fn counter(visitor: Option<&Visitor>) -> Html {
    let (disabled, log_in) = match visitor {
        Some(_) => ("", ""),
        None => (" disabled", " · log in first"),
    };
    Html::filled(
        include_str!("../templates/counter.html"),
        &[
            ("clicks", Html::text(visitor.map_or(0, |visitor| visitor.clicks))),
            ("disabled", Html::fixed(disabled)),
            ("log_in", Html::fixed(log_in)),
        ],
    )
}

fn everywhere(visitor: Option<&Visitor>) -> Html {
    let list = match visitor {
        None => Html::fixed("<p class=\"hint\">Log in first.</p>"),
        Some(visitor) => Html::filled(
            include_str!("../templates/session-list.html"),
            &[("rows", visitor.devices.iter().map(device).collect())],
        ),
    };
    Html::filled(include_str!("../templates/sessions.html"), &[("list", list)])
}

fn device(shown: &Shown) -> Html {
    let here = if shown.here { " <span class=\"here\">(this one)</span>" } else { "" };
    Html::filled(
        include_str!("../templates/session-row.html"),
        &[
            ("label", Html::text(&shown.label)),
            ("this", Html::fixed(here)),
            ("handle", Html::text(&shown.handle)),
            ("created", Html::text(shown.created_ms)),
            ("created_ago", Html::text(visitor::ago(shown.created_ms))),
            ("seen", Html::text(shown.seen_ms)),
            ("seen_ago", Html::text(visitor::ago(shown.seen_ms))),
        ],
    )
}

fn report(states: &[(&'static Kind, String)]) -> Html {
    let state = states.first().map_or("", |(_, state)| state);
    Html::filled(
        include_str!("../templates/report.html"),
        &[
            ("fresh", Html::text(FRESH.as_secs())),
            ("stale", Html::text(STALE.as_secs())),
            ("state", Html::text(state)),
        ],
    )
}

fn burst() -> Html {
    Html::fixed(include_str!("../templates/burst.html"))
}

fn tags(states: &[(&'static Kind, String)]) -> Html {
    let row = |(kind, state): &(&'static Kind, String)| {
        let tag = |tag: &&'static str| {
            Html::filled("<span class=\"tag\">{{tag}}</span> ", &[("tag", Html::fixed(tag))])
        };
        Html::filled(
            include_str!("../templates/tag-row.html"),
            &[
                ("name", Html::fixed(kind.name)),
                ("title", Html::fixed(kind.title)),
                ("tags", kind.tags.iter().map(tag).collect()),
                ("state", Html::text(state)),
            ],
        )
    };
    let button = |tag: &&'static str| {
        let markup = "<button class=\"quiet\" name=\"tag\" value=\"{{tag}}\">{{tag}}</button>";
        Html::filled(markup, &[("tag", Html::fixed(tag))])
    };
    let tagged = states.iter().filter(|(kind, _)| !kind.tags.is_empty());
    Html::filled(
        include_str!("../templates/tags.html"),
        &[("rows", tagged.map(row).collect()), ("buttons", TAGS.iter().map(button).collect())],
    )
}

fn restart(app: &App) -> Html {
    let memory = match app.place.home().scheme() {
        "memory" => {
            "<p class=\"note\">Not this time: it was started with <code>memory:</code>, which ends with the process.</p>"
        }
        _ => "",
    };
    let (disabled, words, hint, again) = match app.exit {
        Exit::Allowed => ("", ", or the button below", "As kill -9: nobody is warned.", ""),
        Exit::Refused => (" disabled", "", "The demo was started with --no-exit.", " -- --no-exit"),
    };
    Html::filled(
        include_str!("../templates/restart.html"),
        &[
            ("pid", Html::text(app.process.pid)),
            ("up", Html::text(app.process.up_seconds())),
            ("disabled", Html::fixed(disabled)),
            ("button_words", Html::fixed(words)),
            ("hint", Html::fixed(hint)),
            ("again", Html::fixed(again)),
            ("memory", Html::fixed(memory)),
        ],
    )
}

fn store(app: &App) -> Html {
    let caches = app.place.caches();
    let choice = |url: &StoreUrl| {
        let checked = if *url == caches.url { " checked" } else { "" };
        Html::filled(
            "<label><input type=\"radio\" name=\"kind\" value=\"{{kind}}\"{{checked}}> {{kind}}</label>",
            &[("kind", Html::text(url.scheme())), ("checked", Html::fixed(checked))],
        )
    };
    Html::filled(
        include_str!("../templates/store.html"),
        &[
            ("example", Html::text(StoreUrl::new("redb").with_path(app.dir.join("other.redb")))),
            ("choices", app.place.choices().map(choice).collect()),
            ("facts", listed(&caches.facts())),
        ],
    )
}
