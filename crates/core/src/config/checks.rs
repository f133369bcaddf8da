//! What one key of a host alone cannot say: paths that collide, probes without a service.

use super::HostConfig;
use super::kind::Node;
use super::sink::{Fault, Sink};
use super::table::Reader;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// What Cutover itself puts into a release.
const RESERVED_PATHS: [&str; 2] = [".venv", "release.json"];
/// The probes that observe the service itself.
const SERVICE_PROBES: [&str; 2] = ["log", "unit"];

/// Checks a host's keys against each other. Sees undecoded values, so that these findings come
/// together with all others.
pub(super) fn check_host(reader: &Reader<'_, '_>, sink: &mut Sink) {
    check_placed_paths(&placed_paths(reader), sink);
    if reader.get("service").is_none() {
        check_probes_without_service(reader, sink);
    }
}

/// A path that Cutover will make in a release, as the config says.
struct Placed<'n> {
    path: &'n str,
    span: Range<usize>,
}

fn placed_paths<'n>(reader: &Reader<'n, '_>) -> Vec<Placed<'n>> {
    let lists = ["linked_dirs", "linked_files"].into_iter().filter_map(|key| reader.get(key)?.get_ref().as_array());
    let linked = lists.flat_map(|list| list.iter()).filter_map(placed);
    let links = table(reader.get("config_links")).into_iter().flat_map(|links| links.keys());
    let links = links.map(|key| Placed { path: key.get_ref(), span: key.span() });
    linked.chain(links).chain(reader.get("env_file").and_then(placed)).collect()
}

fn placed<'n>(node: &'n Node<'_>) -> Option<Placed<'n>> {
    Some(Placed { path: node.get_ref().as_str()?, span: node.span() })
}

fn table<'n, 'i>(node: Option<&'n Node<'i>>) -> Option<&'n DeTable<'i>> {
    node?.get_ref().as_table()
}

fn check_placed_paths(placed: &[Placed<'_>], sink: &mut Sink) {
    let mut sorted: Vec<_> = placed.iter().collect();
    sorted.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')).then(a.span.start.cmp(&b.span.start)));
    // Sorted by components, whatever lies beneath a path follows it directly.
    let mut above: Option<&Placed<'_>> = None;
    for path in sorted {
        if let Some(reserved) = RESERVED_PATHS.iter().find(|reserved| beneath(path.path, reserved)) {
            let why = format!("puts something at `{reserved}`, which Cutover makes itself");
            sink.fault(path.span.clone(), "reserved", Fault::new(why));
        }
        match above {
            Some(above) if beneath(path.path, above.path) => report_collision(above, path, sink),
            Some(_) | None => above = Some(path),
        }
    }
}

fn report_collision(one: &Placed<'_>, other: &Placed<'_>, sink: &mut Sink) {
    let later = if one.span.start > other.span.start { one } else { other };
    let why = if one.path == other.path {
        format!("uses the path {:?} twice", one.path)
    } else {
        format!("uses the path {:?}, which lies beneath {:?}", other.path, one.path)
    };
    sink.fault(later.span.clone(), "collides", Fault::hinted(why, "links of one release must not lie in each other"));
}

impl HostConfig {
    /// Why its links cannot lie in one release, as [`Config::check`](super::Config::check) says it of the text: for a config that
    /// came from another machine.
    pub fn misplaced(&self) -> Option<String> {
        let linked = self.linked_dirs.iter().chain(&self.linked_files).chain(self.config_links.keys());
        let mut paths: Vec<&Path> = linked.chain(&self.env_file).map(PathBuf::as_path).collect();
        // Sorted by components, whatever lies beneath a path follows it directly.
        paths.sort_unstable();
        let reserved = paths.iter().find(|path| RESERVED_PATHS.iter().any(|reserved| path.starts_with(reserved)));
        if let Some(path) = reserved {
            return Some(format!("something is put at {path:?}, which Cutover makes itself"));
        }
        let collides = paths.windows(2).find(|pair| pair[1].starts_with(pair[0]));
        collides.map(|pair| format!("{:?} and {:?} lie in each other", pair[0], pair[1]))
    }
}

/// Whether the path is this one or lies beneath it.
fn beneath(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn check_probes_without_service(reader: &Reader<'_, '_>, sink: &mut Sink) {
    let probes = table(reader.get("verify")).and_then(|verify| verify.get("probes")?.get_ref().as_array());
    for probe in probes.into_iter().flat_map(|probes| probes.iter()).filter_map(|probe| probe.get_ref().as_table()) {
        for (key, _) in probe.iter().filter(|(key, _)| SERVICE_PROBES.contains(&key.get_ref().as_ref())) {
            let why = format!("has a `{}` probe but no `service` to observe", key.get_ref());
            sink.fault(key.span(), "no service", Fault::hinted(why, "say what runs the release under `service`"));
        }
    }
}
