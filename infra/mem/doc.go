// Package mem holds small working fakes of the ports, in memory, for tests and for previews that store nothing. Every fake keeps the same
// promises as the real adapter: both run the conformance suite of infra/porttest.
package mem
