// Package source reads other people's Parquet files for the import: nested columns, whatever their types, become the flat cells that package ingest
// describes, and class labels of dataset hubs become their names. It adapts arrow/go to ingest.Format; the project's own tables have their own adapter.
package source
