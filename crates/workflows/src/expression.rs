//! GitHub's expressions: how texts of a config get past them and into them.

/// The text as GitHub reads it back: what would begin an expression does not.
pub(crate) fn literal(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}

/// The text as a string within an expression.
pub(crate) fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The pattern of `on.push.branches` that fits this branch alone.
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
pub(crate) fn branch_pattern(branch: &str) -> String {
    let escaped: String =
        branch.chars().flat_map(|c| "*?+[]!\\".contains(c).then_some('\\').into_iter().chain([c])).collect();
    // Where patterns stand there are no expressions, not even ones that say that they are none.
    escaped.replace("${{", "$[{]{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_config_is_never_an_expression() {
        assert_eq!(literal("a ${{ secrets.X }}"), "a ${{ '${{' }} secrets.X }}");
        assert_eq!(string("it's"), "'it''s'");
        assert_eq!(branch_pattern("release/c++"), "release/c\\+\\+");
        assert_eq!(branch_pattern("${{x}}"), "$[{]{x}}");
    }
}
