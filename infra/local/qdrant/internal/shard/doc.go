// Package shard keeps the points of one collection and searches them exactly. The protocol server above it turns Qdrant's calls into calls of a
// Shard, one a collection.
//
// A shard is a log. Every write is one record with a checksum, appended to the newest segment file; the files are mapped into memory, and the
// vectors are scored where they lie, in rows of little-endian floats. What is kept beside them is a table of slots: for each point its id and
// where its payload and vectors are. A slot never changes; a point that is written again gets a new slot and the old one is dead. The same
// code applies a record when it is written and when the log is read at the start.
//
// A write returns when its record is on disk; writes that wait at the same time share one fsync. After a crash the log is cut behind its last
// whole record. When more than half of the log is dead, the points that live in it are appended again and the old segments removed, oldest
// first, so that a removed file never holds a deletion that an older one still needs.
//
// It runs where mmap is coherent with write, which is every Unix file system fit for a database, on little-endian machines.
package shard
