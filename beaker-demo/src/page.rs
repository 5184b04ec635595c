//! The page, put together from its parts.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use beaker_namespace::StoreUrl;

use crate::answer::Failure;
use crate::app::{App, Shared};
use crate::args::Exit;
use crate::html::Html;
use crate::place::{FRESH, STALE};
use crate::reports::{self, Kind, TAGS};

/// The parts in their order: the anchor, and what the navigation calls it.
const PARTS: [(&str, &str); 5] = [
    ("report", "Slow report"),
    ("burst", "500 at once"),
    ("tags", "Tags"),
    ("restart", "Kill"),
    ("store", "Store"),
];

/// `GET /`.
pub(crate) async fn home(State(app): State<Shared>) -> Result<Response, Failure> {
    let states = reports::states(&app).await?;
    let sections = [report(&states), burst(), tags(&states), restart(&app), store(&app)];
    let caches = app.place.caches();
    let page = Html::filled(
        include_str!("../templates/page.html"),
        &[
            ("started", Html::text(app.process.started_ms())),
            ("pid", Html::text(app.process.pid)),
            ("store", Html::text(caches.url.scheme())),
            ("dir", Html::text(app.dir.display())),
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
    let (disabled, words, hint, again) = match app.exit {
        Exit::Allowed => {
            ("", ", or the button below", "As kill -9: nobody is warned.", " -- --allow-exit")
        }
        Exit::Refused => {
            (" disabled", "", "Start the demo with --allow-exit to use this button.", "")
        }
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
