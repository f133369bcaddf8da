//! Rows in columns.

use cutover_reporters::one_line;

/// What stands between columns.
const GAP: &str = "  ";
/// The least that a table's last column needs in characters to say something.
const LAST_WIDTH_MIN: usize = 20;
/// The longest cell in characters: all of its column are as wide.
const CELL_LENGTH_MAX: usize = 1000;

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

    /// Adds a row. Nothing in a cell breaks its line or steers the terminal, and none is longer than a person reads.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cut(&one_line(&cell), Some(CELL_LENGTH_MAX))).into());
    }

    /// The lines of the table, each with its end.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths();
        self.rows.iter().map(|row| cut(&line(row, &widths), width) + "\n").collect()
    }

    /// The same without as many of these columns, by their titles, as the last column needs for room.
    pub(super) fn render_without(mut self, spare: &[&str], width: Option<usize>) -> String {
        for title in spare {
            if width.is_none_or(|width| self.fits(width)) {
                break;
            }
            self.drop_column(&title.to_uppercase());
        }
        self.render(width)
    }

    /// The same without this column, by its title, where no row has anything in it.
    pub(super) fn without_blank(mut self, title: &str) -> Self {
        let title = title.to_uppercase();
        let column = self.rows[0].iter().position(|cell| *cell == title);
        if column.is_some_and(|column| self.rows[1..].iter().all(|row| row[column].is_empty())) {
            self.drop_column(&title);
        }
        self
    }

    fn fits(&self, width: usize) -> bool {
        let mut widths = self.widths();
        let last = widths.pop().unwrap_or(0).min(LAST_WIDTH_MIN);
        widths.iter().map(|column| column + GAP.len()).sum::<usize>() + last <= width
    }

    fn drop_column(&mut self, title: &str) {
        if let Some(column) = self.rows[0].iter().position(|cell| cell == title) {
            self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
        }
    }

    fn widths(&self) -> Vec<usize> {
        let column_count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (0..column_count).map(|column| widest(column).unwrap_or(0)).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    padded.join(GAP).trim_end().to_owned()
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
    fn a_cell_of_any_length_can_be_shown() {
        let mut table = Table::new(&["reason", "what"]);
        table.row(["r\n".repeat(50_000), "x".to_owned()]);
        let longest = table.render(None).lines().map(|line| line.chars().count()).max();
        assert_eq!(longest, Some(CELL_LENGTH_MAX + GAP.len() + "WHAT".len()));
    }

    #[test]
    fn columns_line_up_and_a_narrow_terminal_cuts_the_end() {
        let mut table = Table::new(&["id", "what"]);
        table.row(["größe".to_owned(), "a long subject".to_owned()]);
        assert_eq!(table.render(None), "ID     WHAT\ngröße  a long subject\n");
        assert_eq!(table.render(Some(12)), "ID     WHAT\ngröße  a lo…\n");
    }

    #[test]
    fn a_column_that_says_nothing_can_be_left_out() {
        let told = |why: &str| {
            let mut table = Table::new(&["id", "why"]);
            table.row(["1".to_owned(), String::new()]);
            table.row(["2".to_owned(), why.to_owned()]);
            table.without_blank("why").render(None)
        };
        assert_eq!(told(""), "ID\n1\n2\n");
        assert_eq!(told("slow"), "ID  WHY\n1\n2   slow\n");
    }

    #[test]
    fn columns_go_one_by_one_until_the_last_has_room() {
        let table = || {
            let mut table = Table::new(&["id", "by", "took", "what"]);
            table.row([
                "1".to_owned(),
                "somebody".to_owned(),
                "2.00s".to_owned(),
                "a long subject of a commit".to_owned(),
            ]);
            table
        };
        let head = |width| table().render_without(&["by", "took"], width).lines().next().unwrap().to_owned();
        assert_eq!(head(None), "ID  BY        TOOK   WHAT");
        assert_eq!(head(Some(41)), "ID  BY        TOOK   WHAT");
        assert_eq!(head(Some(40)), "ID  TOOK   WHAT");
        assert_eq!(head(Some(30)), "ID  WHAT");
    }
}
