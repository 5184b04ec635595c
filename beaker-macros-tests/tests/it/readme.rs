//! The settings that the face's page shows beside its code.

use beaker_cache::config::Config;

/// What stands between the first `fence` and the end of its block.
fn block<'a>(page: &'a str, fence: &str) -> &'a str {
    let (_, rest) = page.split_once(fence).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_store_of_a_region_is_swapped_by_the_line_that_the_page_shows() {
    let page = include_str!("../../../beaker-cache/README.md");
    let config = Config::from_toml(block(page, "```toml\n")).unwrap();
    let url = config.regions["short_term"].url.as_deref();
    assert_eq!(url, Some("sqlite:///var/cache/app.sqlite"));
    assert!(config.unknown_options().is_empty(), "{:?}", config.unknown_options());
}
