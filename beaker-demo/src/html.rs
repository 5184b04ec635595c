//! HTML that cannot carry a visitor's text unescaped.

use std::fmt::Display;

use axum::response::{IntoResponse, Response};

/// A piece of HTML: our own words, or text that was escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Our own words, as they are.
    pub(crate) fn fixed(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// Anybody's words, for the content of an element or the quoted value of an attribute.
    pub(crate) fn text(text: impl Display) -> Self {
        let text = text.to_string();
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                c => escaped.push(c),
            }
        }
        Self(escaped)
    }

    /// `template` with each `{{name}}` replaced by the value of that name.
    ///
    /// Values are not looked through again. A name without a value is a fault of ours: it stays
    /// in the page, where the tests find it.
    pub(crate) fn filled(template: &'static str, values: &[(&str, Self)]) -> Self {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let (name, behind) = after.split_once("}}").unwrap_or((after, ""));
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => filled.push_str(&value.0),
                None => filled.extend(["{{", name, "}}"]),
            }
            rest = behind;
        }
        filled.push_str(rest);
        Self(filled)
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        axum::response::Html(self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_open_a_tag_or_leave_an_attribute() {
        let text = Html::text(r#"<b title='"'>&"#);
        assert_eq!(text.as_str(), "&lt;b title=&#39;&quot;&#39;&gt;&amp;");
    }

    #[test]
    fn a_value_that_looks_like_a_name_is_not_filled_again() {
        let values = [("a", Html::text("{{b}}")), ("b", Html::fixed("<i>"))];
        assert_eq!(Html::filled("{{a}} {{b}} {{c}}", &values).as_str(), "{{b}} <i> {{c}}");
    }
}
