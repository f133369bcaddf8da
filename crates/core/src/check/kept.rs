//! Lists that are bounded and say so.

use serde::{Deserialize, Serialize};

/// The first items of a list, and how many more there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept<T> {
    /// What was kept, in the order of arrival.
    pub items: Vec<T>,
    /// How many items came after those and were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out_count: u64,
}

impl<T> Kept<T> {
    /// Keeps an item while there are fewer than `items_max`, and counts it else.
    pub fn push(&mut self, item: T, items_max: usize) {
        if self.items.len() < items_max {
            self.items.push(item);
        } else {
            self.left_out_count += 1;
        }
    }

    /// Takes over another list, as if its items had been pushed one by one.
    pub fn append(&mut self, other: Self, items_max: usize) {
        for item in other.items {
            self.push(item, items_max);
        }
        self.left_out_count = self.left_out_count.saturating_add(other.left_out_count);
    }

    /// Whether there was nothing at all.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// How many items there were, kept or not.
    pub fn total(&self) -> u64 {
        self.left_out_count.saturating_add(self.items.len() as u64)
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { items: Vec::new(), left_out_count: 0 }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_counts_what_it_leaves_out() {
        let mut one = Kept::default();
        for number in 0..5 {
            one.push(number, 3);
        }
        let mut both = Kept { items: vec![9, 9], left_out_count: 1 };
        both.append(one.clone(), 3);
        assert_eq!((one.items.as_slice(), one.left_out_count), ([0, 1, 2].as_slice(), 2));
        assert_eq!((both.items.as_slice(), both.left_out_count, both.total()), ([9, 9, 0].as_slice(), 5, 8));
    }
}
