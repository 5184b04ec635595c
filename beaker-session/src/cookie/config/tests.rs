use super::*;

fn refusal(config: &CookieConfig) -> String {
    config.validate().map_or_else(|error| error.to_string(), |()| String::new())
}

/// Every combination of what browsers check, against the rules of RFC 6265bis and CHIPS.
#[test]
fn what_a_browser_would_drop_is_refused_and_nothing_else() {
    let bools = [false, true];
    let mut allowed = 0;
    for name in ["id", "__Secure-id", "__Host-id", "__hOsT-id"] {
        for secure in bools {
            for domain in [None, Some("example.org")] {
                for path in ["/", "/app"] {
                    for same_site in [SameSite::Strict, SameSite::Lax, SameSite::None] {
                        for partitioned in bools {
                            let config = CookieConfig {
                                secure,
                                partitioned,
                                same_site,
                                domain: domain.map(str::to_owned),
                                path: path.to_owned(),
                                ..CookieConfig::named(name)
                            };
                            let host = name.eq_ignore_ascii_case("__Host-id");
                            let works = (secure
                                || name == "id" && same_site != SameSite::None && !partitioned)
                                && !(host && (domain.is_some() || path != "/"));
                            assert_eq!(config.validate().is_ok(), works, "{config:?}");
                            allowed += u32::from(works);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(allowed, 68);
}

#[test]
fn a_refusal_names_the_fix() {
    let insecure = CookieConfig { secure: false, ..CookieConfig::new() };
    assert!(refusal(&insecure).ends_with("a cookie named __Host- or __Secure- must be Secure"));
    let wide = CookieConfig::new().with_domain("example.org");
    assert!(refusal(&wide).ends_with("use the prefix __Secure-"));
}

#[test]
fn nothing_can_be_injected_through_name_path_or_domain() {
    for name in ["", "a b", "a;b", "a=b", "a\r\nb", "ä", "a,b", "a\"b"] {
        assert!(!refusal(&CookieConfig::named(name)).is_empty(), "{name:?}");
    }
    for path in ["", "app", "/a;b", "/a\r\nSet-Cookie: x=y", "/ä", "/a\0", "/a\x7f", "/a "] {
        assert!(!refusal(&CookieConfig::named("id").with_path(path)).is_empty(), "{path:?}");
    }
    let path = |bytes: usize| CookieConfig::named("id").with_path("/".repeat(bytes));
    assert!(refusal(&path(1024)).is_empty(), "browsers keep as much");
    assert!(!refusal(&path(1025)).is_empty());
    for domain in ["", "a b", "a;b", "-a.org", "a..b", "ä.org", "a.org\r\n", "a_b.org"] {
        assert!(!refusal(&CookieConfig::named("id").with_domain(domain)).is_empty(), "{domain:?}");
    }
}
