//! The lines of a log that many processes write into, which are killed at any moment.
//
// One who is killed while he writes a line may leave the front of it, if it crosses the end of a page. So a line
// has a mark at its end, and begins a line by itself: what has no mark is none.

const END: char = ';';

/// What to write for `text`, at once; an error may have more lines than one.
pub(crate) fn line(text: &str) -> String {
    format!("\n{}{END}\n", text.replace('\n', " "))
}

/// The lines of a log that were written whole.
pub(crate) fn lines(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter_map(|line| line.strip_suffix(END))
}

#[test]
fn of_a_line_that_was_cut_off_nothing_is_read() {
    let [first, cut, last] = ["written 1", "written 20", "written 3"].map(line);
    for length in 0..cut.len() - 2 {
        let log = [&first, &cut[..length], &last].concat();
        assert_eq!(lines(&log).collect::<Vec<_>>(), ["written 1", "written 3"], "{length} bytes");
    }
    let log = [first, cut, last].concat();
    assert_eq!(lines(&log).count(), 3, "the control");
}

#[test]
fn a_text_of_two_lines_is_read_as_one() {
    let log = line("error one\nand more");
    assert_eq!(lines(&log).collect::<Vec<_>>(), ["error one and more"]);
}
