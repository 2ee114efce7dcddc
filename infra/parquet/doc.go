// Package parquet stores the project's nouns as Parquet files, one schema a noun: the adapter of rebased.Table over a bucket. Everything that a
// build keeps between two steps, and the training files themselves, pass through it.
//
// Files hold plain types only (strings, 64-bit integers, 32-bit floats, lists), nothing is nullable, and the same rows give the same bytes with
// the same version of the project, so that a file can be named by its SHA-256.
package parquet
