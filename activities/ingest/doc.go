// Package ingest brings other people's datasets into a corpus: it finds the files of a folder (Discover), puts them into the bucket for workers
// to read (Upload), turns each dataset split into Parquet parts of rows (Converter) and switches the corpus to what was read (Commit).
//
// It stands at the start of the flow: index and retrieve see nothing but the parts and the manifest that it writes. The same files and options
// give the same bytes.
//
// How a record becomes a row, whatever its format: nested fields get dotted names ("answers.text"); a list adds nothing to the name, and the values
// that fall on one name are joined by newlines in their order; null gives no cell; numbers and truth values keep the text of their source; cells keep
// the order of first appearance.
package ingest
