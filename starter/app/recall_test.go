package app

import "testing"

func TestTheVersionsWithRowsOfASourceAreFound(t *testing.T) {
	w := newWorld(t)
	w.want(args("versions recall o/d"), 0, "", "no version has a row of o/d\n")
	first, second := w.version(true, "x"), w.version(true, "y", "z")
	w.want(args("versions recall O/D"), 0, `VERSION             RELEASED                       ROWS  NEXT
squad@`+second+`  2026-11-22T02:02:00Z (latest)  2     rebased builds redrive squad/by --without O/D
squad@`+first+`  2026-11-22T02:01:00Z           1     -
`, "")
	w.want(args("versions recall other/set"), 0, "", "no version has a row of other/set\n")
	w.want(args("versions recall o/d --json"), 0, `{"task":"squad","version":"`+second+`","latest":true,"released":true,"released_at":"2026-11-22T02:02:00Z","build":"by",`+
		`"approved_by":"ada","train":2,"validation":0,"uri":"s3://bucket/datasets/squad/`+second+`/","rows":2,"next":"rebased builds redrive squad/by --without o/d"}
…`, "")
}
