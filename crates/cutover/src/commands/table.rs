//! Rows in columns.

use cutover_reporters::one_line;

/// Cells of rows, lined up. The last column is as wide as it needs to be.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a head.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|title| title.to_uppercase()).collect()] }
    }

    /// Adds a row. Nothing in a cell breaks its line or steers the terminal.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| one_line(&cell)).into());
    }

    /// The lines of the table, each with its end.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let column_count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..column_count).map(|column| widest(column).unwrap_or(0)).collect();
        self.rows.iter().map(|row| cut(&line(row, &widths), width) + "\n").collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if line.chars().count() > width => {
            line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        }
        Some(_) | None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_a_narrow_terminal_cuts_the_end() {
        let mut table = Table::new(&["id", "what"]);
        table.row(["größe".to_owned(), "a long subject".to_owned()]);
        assert_eq!(table.render(None), "ID     WHAT\ngröße  a long subject\n");
        assert_eq!(table.render(Some(12)), "ID     WHAT\ngröße  a lo…\n");
    }
}
