//! How an environment's overrides are laid over a target.

use super::kind::Node;
use super::service::SERVICE_CHOICES;
use toml::de::{DeTable, DeValue};

/// Lays `over` over `base`: tables key by key, everything else replaced.
///
/// Each value and key keeps its place in the text, so that an error in an override points there.
pub(super) fn merge<'i>(base: &mut Node<'i>, over: &Node<'i>) {
    if let (DeValue::Table(base), DeValue::Table(over)) = (base.get_mut(), over.get_ref()) {
        merge_tables(base, over);
    } else {
        *base = over.clone();
    }
}

fn merge_tables<'i>(base: &mut DeTable<'i>, over: &DeTable<'i>) {
    for (key, value) in over {
        // Removed first: an insert alone would keep the base's key with its place.
        let merged = match base.remove(key.get_ref().as_ref()) {
            // A `process` over a `unit` means the one instead of the other, not both.
            Some(old) if key.get_ref() == "service" && chooses_another(&old, value) => value.clone(),
            Some(mut old) => {
                merge(&mut old, value);
                old
            }
            None => value.clone(),
        };
        base.insert(key.clone(), merged);
    }
}

fn chooses_another(base: &Node<'_>, over: &Node<'_>) -> bool {
    let chosen = |node: &Node<'_>| SERVICE_CHOICES.into_iter().find(|choice| node.get_ref().get(*choice).is_some());
    matches!((chosen(base), chosen(over)), (Some(old), Some(new)) if old != new)
}
