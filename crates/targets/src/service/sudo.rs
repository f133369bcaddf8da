//! What sudo lets this user do, read from the list that it gives (sudo(8), `-l` without a command).
//!
//! Only a plain "yes" is read from it: a list that has anything else in it is left to sudo itself, asked about each command.

/// Runs as root without a password, in the ways in which sudo says so.
const AS_ROOT: [&str; 3] = ["(root) NOPASSWD: ", "(ALL) NOPASSWD: ", "(ALL : ALL) NOPASSWD: "];
/// What stands before the rules.
const HEADING: &str = "may run the following commands on ";

/// Whether the list says that all these commands are allowed, each a program's path and its words.
pub(super) fn allows(list: &str, commands: &[String]) -> bool {
    rule(list).is_some_and(|allowed| commands.iter().all(|command| covers(&allowed, command)))
}

/// The commands of the only rule, if there is only one. With several the last that fits counts, and that is sudo's to find.
fn rule(list: &str) -> Option<Vec<String>> {
    let (_, below) = list.split_once(HEADING)?;
    let (_host, rules) = below.split_once('\n')?;
    // Long rules are broken between words.
    let rules = rules.split_whitespace().collect::<Vec<_>>().join(" ");
    let commands = AS_ROOT.iter().find_map(|begin| rules.strip_prefix(begin))?;
    // Another rule, an exception, an escaped character, another tag, a pattern.
    let is_plain = !commands.contains(['(', '!', '\\', ':', '*', '?', '[', '^', '"']);
    is_plain.then(|| commands.split(", ").map(str::to_owned).collect())
}

/// A command without words is allowed with any words (sudoers(5)).
fn covers(allowed: &[String], command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or(command);
    allowed.iter().any(|entry| entry == command || entry == program || entry == "ALL")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: [&str; 2] = ["/usr/bin/systemctl restart app.service", "/usr/bin/systemctl stop app.service"];

    fn is_allowed(rules: &str) -> bool {
        let list = format!(
            "Matching Defaults entries for ada on web-1:\n    env_reset, secure_path=/usr/sbin\\:/usr/bin\n\n\
             User ada may run the following commands on web-1:\n    {rules}\n"
        );
        allows(&list, &COMMANDS.map(str::to_owned))
    }

    #[test]
    fn a_rule_of_just_these_commands_or_of_more_allows_them() {
        assert!(is_allowed(
            "(root) NOPASSWD: /usr/bin/systemctl restart app.service, /usr/bin/systemctl\n        stop app.service"
        ));
        assert!(is_allowed("(root) NOPASSWD: /usr/bin/systemctl"));
        assert!(is_allowed("(ALL : ALL) NOPASSWD: ALL"));
    }

    #[test]
    fn what_is_not_plainly_allowed_is_asked_for() {
        for rules in [
            "(root) NOPASSWD: /usr/bin/systemctl restart app.service",
            "(root) NOPASSWD: /usr/bin/systemctl restart app.service.evil, /usr/bin/systemctl stop app.service",
            "(root) /usr/bin/systemctl",
            "(ALL : ALL) ALL",
            "(deploy) NOPASSWD: /usr/bin/systemctl",
            "(root) NOPASSWD: /usr/bin/systemctl\n    (ALL : ALL) ALL",
            "(root) NOPASSWD: ALL, !/usr/bin/systemctl stop app.service",
            "(root) NOPASSWD: /bin/true, PASSWD: /usr/bin/systemctl",
            "(root) NOPASSWD: sha224:00 /usr/bin/systemctl",
            "(root) NOPASSWD: /usr/bin/systemctl \"\"",
            "",
        ] {
            assert!(!is_allowed(rules), "{rules}");
        }
        assert!(!allows("User ada is not allowed to run sudo on web-1.\n", &COMMANDS.map(str::to_owned)));
    }
}
