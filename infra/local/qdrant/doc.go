// Package qdrant is a server of Qdrant's gRPC protocol for development and small corpora: the index that the local stack runs where production
// runs Qdrant. The worker's adapter talks to either and cannot tell them apart in the calls that it makes.
//
// It serves collections of named vectors and multivectors (inner product and cosine, MaxSim), aliases, and on points upsert, delete, set payload,
// get, scroll, count and the query for the nearest, with filters on keywords, integers, booleans, ids and emptiness. Everything else of the
// protocol, a call or a field, is refused by its name with the code Unimplemented; nothing is ignored. Of a cluster's numbers it takes 1.
//
// Answers are exact. Every point that a filter lets through is scored, so the parameter exact changes nothing, and results are ordered by score,
// descending, and by id, ascending, where scores are equal; Qdrant leaves that second order open. A write that was acknowledged is on disk,
// whatever its parameter wait says. Restarting reads the whole log, memory holds about what the vectors take, and there is one node: a corpus of
// millions of rows belongs to Qdrant.
package qdrant
