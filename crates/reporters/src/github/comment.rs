//! One comment on a pull request, in which each part has one writer: checks, and each environment's deployments.

use super::check_run::without_id;
use super::client::Client;
use super::fault::Fault;
use super::names::CommitId;
use super::wire::{Call, number, text};
use crate::checks::github::{Room, summary_within};
use crate::markdown::within;
use cutover_core::check::Counted;
use cutover_core::check::run::Run;
use serde_json::{Value, json};

/// The longest comment that GitHub takes, in characters. Counted in bytes here, which are never fewer.
pub const COMMENT_BYTES_MAX: usize = 65_536;
/// The longest section, in bytes.
const SECTION_BYTES_MAX: usize = 32_000;
/// The most sections that are kept.
const SECTION_COUNT_MAX: usize = 32;
/// The room of checks in it.
const ROOM: Room = Room { bytes_max: 28_000, section_bytes_max: 6_000 };
/// Stands first among all.
const CHECKS: &str = "checks";
const SECTION_BEGIN: &str = "<!-- cutover:section ";
const SECTION_END: &str = "<!-- cutover:end -->";
const WRITE: &str = "pull-requests: write";

/// A part of the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    name: String,
    text: String,
}

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There was none.
    Made,
    /// It says something else now.
    Changed,
    /// It says what it said.
    Unchanged,
}

/// Whose comment it is, and where.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The pull request's number.
    pub pull: u64,
    /// The project: several may be in one repository.
    pub project: &'a str,
    /// Whom GitHub takes us for: what others wrote is never changed, whatever stands in it.
    pub login: &'a str,
}

impl Section {
    /// A section of this name. Its text is Markdown that is ours, with the words of others escaped in it.
    pub fn new(name: &str, markdown: &str) -> Self {
        // Nothing in it ends a section or begins one.
        let text = within(&markdown.trim().replace("<!--", "&lt;!--"), SECTION_BYTES_MAX);
        Self { name: plain(name), text }
    }

    /// What checks said of a commit, with some words of ours above it, and a link to their logs. `names` says which checks,
    /// where it is not all of them.
    pub fn checks(names: &str, run: &Run, above: &str, commit: &CommitId, url: &str) -> Self {
        let name = if names.is_empty() { CHECKS.to_owned() } else { format!("{CHECKS} {names}") };
        Self::new(&name, &format!("{above}{}\n`{}` · [Logs]({url})\n", summary_within(run, ROOM), commit.short()))
    }
}

/// A name as it can stand in a marker.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    name.chars().take(100).map(|c| if is_plain(c) { c } else { '_' }).collect()
}

fn marker(project: &str) -> String {
    format!("<!-- cutover:comment {} -->", plain(project))
}

/// The coverage of lines in one sentence, with what it was before where that is known; nothing where it is not known.
pub fn coverage(run: &Run, before: Option<Counted>) -> String {
    let Some(now) = run.totals.lines.and_then(|lines| lines.basis_points()) else { return String::new() };
    let patches = run.checks.iter().filter_map(|check| check.report.as_ref()?.patch.as_ref());
    let patch = patches.map(|patch| patch.lines).next().and_then(|lines| lines.basis_points());
    let patch = patch.map(|patch| format!("; {} % of those that this change touches", percent(patch)));
    let change = before.and_then(|before| before.basis_points()).map(|before| {
        let sign = if now < before { '−' } else { '+' };
        format!(" ({sign}{} points)", percent(now.abs_diff(before)))
    });
    format!("Coverage: {} % of lines{}{}\n\n", percent(now), change.unwrap_or_default(), patch.unwrap_or_default())
}

fn percent(basis_points: u64) -> String {
    format!("{}.{:02}", basis_points / 100, basis_points % 100)
}

/// Keeps a section in the comment, and all the others as they are. Nothing is written when nothing is new.
pub fn keep(client: &Client, place: Place<'_>, section: &Section) -> Result<Kept, Fault> {
    match find(client, place)? {
        Some(found) => change(client, place, section, &found),
        None => make(client, place, section),
    }
}

fn change(client: &Client, place: Place<'_>, section: &Section, found: &Value) -> Result<Kept, Fault> {
    let (id, old) =
        (number(found, "id").ok_or_else(|| without_id("list comments"))?, text(found, "body").unwrap_or_default());
    let mut sections = sections(old);
    sections.retain(|one| one.name != section.name);
    sections.push(section.clone());
    let body = composed(place.project, sections);
    if body.trim() == old.replace("\r\n", "\n").trim() {
        return Ok(Kept::Unchanged);
    }
    let path = client.path(&format!("issues/comments/{id}"));
    client.send(&Call::patch(path, json!({ "body": body }), "change the comment on the pull request", WRITE))?;
    Ok(Kept::Changed)
}

/// Makes the comment, and looks again: another job may have made one meanwhile, or whom GitHub takes us for is not whom we
/// thought. Then the older one has the section, and ours goes.
fn make(client: &Client, place: Place<'_>, section: &Section) -> Result<Kept, Fault> {
    let body = composed(place.project, vec![section.clone()]);
    let path = client.path(&format!("issues/{}/comments", place.pull));
    let post = Call::post(path, json!({ "body": body }), "comment on the pull request", WRITE);
    let made = client.create(&post, || find(client, place))?;
    let author = made.get("user").and_then(|user| text(user, "login")).unwrap_or(place.login);
    let place = Place { login: author, ..place };
    let (Some(oldest), Some(id)) = (find(client, place)?, number(&made, "id")) else { return Ok(Kept::Made) };
    if number(&oldest, "id").is_none_or(|oldest| oldest >= id) {
        return Ok(Kept::Made);
    }
    let kept = change(client, place, section, &oldest)?;
    let path = client.path(&format!("issues/comments/{id}"));
    client.send(&Call::delete(path, "remove a second comment on the pull request", WRITE))?;
    Ok(kept)
}

/// The comment that we wrote. The oldest, should there be several.
fn find(client: &Client, place: Place<'_>) -> Result<Option<Value>, Fault> {
    let marker = marker(place.project);
    let is_ours = |comment: &&Value| {
        let author = comment.get("user").and_then(|user| text(user, "login"));
        // Names of GitHub are the same in capitals.
        let is_author = author.is_some_and(|author| author.eq_ignore_ascii_case(place.login));
        is_author && text(comment, "body").is_some_and(|body| body.trim_start().starts_with(&marker))
    };
    let path = client.path(&format!("issues/{}/comments?per_page=100", place.pull));
    let list = Call::get(path, "list the comments on the pull request", WRITE);
    client.seek(list, |page| page.as_array()?.iter().find(is_ours).cloned())
}

/// The sections of a comment. What stands between them is of nobody, and left out.
fn sections(body: &str) -> Vec<Section> {
    let body = body.replace("\r\n", "\n");
    let parts = body.split(SECTION_BEGIN).skip(1).take(SECTION_COUNT_MAX);
    let section = |part: &str| {
        let (name, rest) = part.split_once(" -->")?;
        let (text, _) = rest.split_once(SECTION_END)?;
        Some(Section { name: plain(name), text: text.trim().to_owned() })
    };
    parts.filter_map(section).collect()
}

/// The comment with these sections, checks first. The last ones are left out where there is no room, and said to be.
fn composed(project: &str, mut sections: Vec<Section>) -> String {
    sections.sort_by_cached_key(|section| (!section.name.starts_with(CHECKS), section.name.clone()));
    let mut body = format!("{}\n", marker(project));
    let left_out = "\nThere is no room for more in this comment.\n";
    for Section { name, text } in &sections {
        let part = format!("{SECTION_BEGIN}{name} -->\n\n{text}\n\n{SECTION_END}\n");
        if body.len() + part.len() + left_out.len() > COMMENT_BYTES_MAX {
            body += left_out;
            break;
        }
        body += &part;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert_eq, proptest};

    #[test]
    fn what_is_written_is_read_again_and_checks_stand_first() {
        let all =
            ["deploy staging", "checks", "deploy production"].map(|name| Section::new(name, &format!("of **{name}**")));
        let body = composed("shop", all.to_vec());
        let read = sections(&body.replace('\n', "\r\n"));
        let names: Vec<&str> = read.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["checks", "deploy production", "deploy staging"]);
        assert_eq!(composed("shop", read), body);
    }

    #[test]
    fn no_text_of_a_section_becomes_another() {
        let forged = format!("x {SECTION_END} {SECTION_BEGIN}deploy production -->\nfine\n{SECTION_END} <!--");
        let body = composed("shop", vec![Section::new("checks", &forged)]);
        assert_eq!(sections(&body).len(), 1);
        assert_eq!(body.matches("<!--").count(), 3, "{body}");
        let name = Section::new("deploy --><b>", "x").name;
        assert_eq!(name, "deploy --__b_");
    }

    #[test]
    fn whatever_a_section_says_it_is_read_as_it_was_written_and_leaves_the_others_as_they_are() {
        let text = "(<!-- cutover:(section checks|end|comment shop)|-->|<|!|--|\\r|\\n| |[a-zä😀]){0,40}";
        proptest!(|(one in text, other in text, name in "[ -~]{0,30}")| {
            let all = vec![Section::new(CHECKS, &one), Section::new(&format!("deploy {name}"), &other)];
            let body = composed("shop", all);
            let read = sections(&body);
            prop_assert_eq!(read.len(), 2);
            prop_assert_eq!(composed("shop", read), body.replace("\r\n", "\n"));
        });
    }

    #[test]
    fn coverage_is_told_with_its_change_where_that_is_known() {
        let lines = |covered| Counted { covered, total: 1_000 };
        let mut run = Run::new(jiff::Timestamp::UNIX_EPOCH, 1.0, Vec::new());
        assert_eq!(coverage(&run, Some(lines(1))), "");
        run.totals.lines = Some(lines(832));
        assert_eq!(coverage(&run, None), "Coverage: 83.20 % of lines\n\n");
        assert_eq!(coverage(&run, Some(lines(821))), "Coverage: 83.20 % of lines (+1.10 points)\n\n");
        assert_eq!(coverage(&run, Some(lines(900))), "Coverage: 83.20 % of lines (−6.80 points)\n\n");
        assert_eq!(coverage(&run, Some(lines(832))), "Coverage: 83.20 % of lines (+0.00 points)\n\n");
    }

    #[test]
    fn a_comment_has_as_much_as_github_takes_and_says_what_is_missing() {
        let long = "ä".repeat(40_000);
        let all = (0..5).map(|number| Section::new(&format!("deploy {number}"), &long)).collect();
        let body = composed("shop", all);
        assert!(body.len() <= COMMENT_BYTES_MAX, "{}", body.len());
        assert!(body.contains("bytes more, which do not fit in here") && body.contains("no room for more"), "{body}");
    }
}
