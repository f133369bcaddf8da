//! GitHub's expressions, as far as workflows of Cutover use them.
//! <https://docs.github.com/actions/reference/workflows-and-actions/expressions>

use serde_json::Value;

/// What expressions are asked in.
pub(super) struct Scope<'a> {
    /// The contexts: `github`, `inputs`, `needs`, `steps`, `secrets`, `runner`.
    pub(super) contexts: &'a Value,
    /// Whether everything before succeeded.
    pub(super) succeeded: bool,
    /// Whether the run was asked to end.
    pub(super) cancelled: bool,
    /// What `hashFiles` says of these patterns.
    pub(super) hash_files: &'a dyn Fn(&[String]) -> String,
}

impl Scope<'_> {
    /// The text with its expressions replaced by what they say.
    pub(super) fn fill(&self, text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${{") {
            let end = end_of(after);
            out += before;
            out += &shown(&self.evaluate(&after[..end]));
            rest = &after[end + 2..];
        }
        out + rest
    }

    /// Whether a condition holds; one that does not ask how things went wants them to have gone well.
    pub(super) fn holds(&self, condition: Option<&str>) -> bool {
        let Some(condition) = condition else { return self.succeeded };
        let inside = condition.trim().strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(condition);
        let asks =
            ["success()", "failure()", "always()", "cancelled()"].iter().any(|function| inside.contains(function));
        (asks || self.succeeded) && is_true(&self.evaluate(inside))
    }

    fn evaluate(&self, text: &str) -> Value {
        let tokens = tokens(text);
        let mut parser = Parser { scope: self, tokens: &tokens, at: 0 };
        let value = parser.or();
        assert_eq!(parser.at, tokens.len(), "the whole of {text:?} is an expression");
        value
    }
}

/// Where an expression's braces close, which a string within it does not do.
fn end_of(text: &str) -> usize {
    let mut in_string = false;
    for (at, c) in text.char_indices() {
        match c {
            '\'' => in_string = !in_string,
            '}' if !in_string && text[at..].starts_with("}}") => return at,
            _ => {}
        }
    }
    panic!("an expression without end: {text:?}")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && *value != "" && *value != 0
}

/// Equal, as GitHub sees it: texts without regard to case.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.to_lowercase() == other.to_lowercase(),
        (Value::Null, Value::String(text)) | (Value::String(text), Value::Null) => text.is_empty(),
        (one, other) => one == other,
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Mark(&'static str),
    Text(String),
    Word(String),
}

const MARKS: [&str; 8] = ["&&", "||", "==", "!=", "!", "(", ")", ","];

fn tokens(text: &str) -> Vec<Token> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let length = if let Some(mark) = MARKS.into_iter().find(|mark| rest.starts_with(mark)) {
            found.push(Token::Mark(mark));
            mark.len()
        } else if rest.starts_with('\'') {
            let (text, length) = quoted(rest);
            found.push(Token::Text(text));
            length
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            assert!(length > 0, "no expression: {rest:?}");
            found.push(Token::Word(rest[..length].to_owned()));
            length
        };
        rest = rest[length..].trim_start();
    }
    found
}

fn quoted(text: &str) -> (String, usize) {
    let mut out = String::new();
    let mut at = 1;
    loop {
        let end = at + text[at..].find('\'').expect("a string ends");
        out += &text[at..end];
        at = end + 1;
        if !text[at..].starts_with('\'') {
            return (out, at);
        }
        out.push('\'');
        at += 1;
    }
}

struct Parser<'a> {
    scope: &'a Scope<'a>,
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn takes(&mut self, mark: &'static str) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Value {
        let mut value = self.and();
        while self.takes("||") {
            let other = self.and();
            value = if is_true(&value) { value } else { other };
        }
        value
    }

    fn and(&mut self) -> Value {
        let mut value = self.equal();
        while self.takes("&&") {
            let other = self.equal();
            value = if is_true(&value) { other } else { value };
        }
        value
    }

    fn equal(&mut self) -> Value {
        let value = self.not();
        if self.takes("==") {
            return same(&value, &self.not()).into();
        }
        if self.takes("!=") {
            return (!same(&value, &self.not())).into();
        }
        value
    }

    fn not(&mut self) -> Value {
        if self.takes("!") { (!is_true(&self.not())).into() } else { self.single() }
    }

    fn single(&mut self) -> Value {
        if self.takes("(") {
            let value = self.or();
            assert!(self.takes(")"), "a bracket closes");
            return value;
        }
        let token = self.tokens.get(self.at).expect("an expression goes on");
        self.at += 1;
        match token {
            Token::Text(text) => text.clone().into(),
            Token::Word(word) if self.takes("(") => self.call(word),
            Token::Word(word) => self.named(word),
            Token::Mark(mark) => panic!("unexpected {mark}"),
        }
    }

    fn call(&mut self, function: &str) -> Value {
        let mut arguments = Vec::new();
        while !self.takes(")") {
            arguments.push(shown(&self.or()));
            self.takes(",");
        }
        match function {
            "success" => self.scope.succeeded.into(),
            "failure" => (!self.scope.succeeded).into(),
            "cancelled" => self.scope.cancelled.into(),
            "always" => true.into(),
            "hashFiles" => (self.scope.hash_files)(&arguments).into(),
            unknown => panic!("the runner does not know {unknown}()"),
        }
    }

    fn named(&self, word: &str) -> Value {
        match word {
            "true" => true.into(),
            "false" => false.into(),
            "null" => Value::Null,
            path => {
                let mut parts = path.split('.');
                let context = parts.next().and_then(|name| self.scope.contexts.get(name));
                let mut value = context.unwrap_or_else(|| panic!("no such context here: {path}"));
                for part in parts {
                    value = value.get(part).unwrap_or(&Value::Null);
                }
                value.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str) -> String {
        let contexts =
            json!({ "github": { "ref_name": "Main", "event": { "n": 7 } }, "inputs": { "no": false, "text": "" } });
        Scope { contexts: &contexts, succeeded: true, cancelled: false, hash_files: &|of| of.join("+") }.fill(text)
    }

    #[test]
    fn expressions_say_what_they_say_at_github() {
        assert_eq!(filled("a ${{ github.event.n }} b ${{ github.none }}c"), "a 7 b c");
        assert_eq!(filled("${{ github.ref_name == 'main' && !inputs.no }}"), "true", "without regard to case");
        assert_eq!(filled("${{ inputs.text || inputs.none || 'it''s}}' }}"), "it's}}");
        assert_eq!(filled("${{ (inputs.no || 'a' == 'b') && 'x' }}"), "false");
        assert_eq!(filled("${{ '${{' }} ${{ hashFiles('a', 'b') }}"), "${{ a+b");
    }
}
