//! Calls and answers, as far as any operation needs them.

use serde_json::Value;

/// Whether a call may simply be sent again when nobody knows whether it was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice has the effect of once.
    Safe,
    /// Twice makes two.
    Once,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    /// Below the API's address, with its query.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// What it is for, to complete "GitHub does not let the token …".
    pub(super) doing: &'static str,
    /// The permission that it needs, as workflows write it.
    pub(super) permission: &'static str,
    pub(super) repeat: Repeat,
}

impl Call {
    pub(super) fn get(path: String, doing: &'static str, permission: &'static str) -> Self {
        Self { method: "GET", path, body: None, doing, permission, repeat: Repeat::Safe }
    }

    /// A change that replaces what was there.
    pub(super) fn patch(path: String, body: Value, doing: &'static str, permission: &'static str) -> Self {
        Self { method: "PATCH", path, body: Some(body), doing, permission, repeat: Repeat::Safe }
    }

    /// A whole thing in the place of what was there.
    pub(super) fn put(path: String, body: Value, doing: &'static str, permission: &'static str) -> Self {
        Self { method: "PUT", ..Self::patch(path, body, doing, permission) }
    }

    /// Something new. Whoever may not make two of it looks it up before it is sent a second time.
    pub(super) fn post(path: String, body: Value, doing: &'static str, permission: &'static str) -> Self {
        Self { method: "POST", path, body: Some(body), doing, permission, repeat: Repeat::Once }
    }

    /// What shall not be there any more.
    pub(super) fn delete(path: String, doing: &'static str, permission: &'static str) -> Self {
        Self { method: "DELETE", path, body: None, doing, permission, repeat: Repeat::Safe }
    }

    /// The same call, of which two do no more than one.
    pub(super) fn repeatable(self) -> Self {
        Self { repeat: Repeat::Safe, ..self }
    }

    /// The same call, which must not be sent twice.
    pub(super) fn only_once(self) -> Self {
        Self { repeat: Repeat::Once, ..self }
    }
}

/// An answer that is none of the known refusals.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// The path of the next page.
    pub(super) next: Option<String>,
}

/// A text of an object.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

/// A number of an object.
pub(super) fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

/// The URL of the next page. RFC 8288: `<URL>; rel="next"`, others separated by commas.
pub(super) fn next_link(header: &str) -> Option<&str> {
    let link = |part: &'_ str| part.split_once(';').is_some_and(|(_, rest)| rest.contains("rel=\"next\""));
    let part = header.split(", <").find(|part| link(part))?;
    part.trim_start().trim_start_matches('<').split_once('>').map(|(url, _)| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_all_links() {
        let header = "<https://api/x?page=1>; rel=\"prev\", <https://api/x?a=b,c&page=3>; rel=\"next\", \
                      <https://api/x?page=9>; rel=\"last\"";
        assert_eq!(next_link(header), Some("https://api/x?a=b,c&page=3"));
        assert_eq!(next_link("<https://api/x?page=1>; rel=\"prev\""), None);
        assert_eq!(next_link("<https://api/x"), None);
        assert_eq!(next_link(""), None);
    }
}
