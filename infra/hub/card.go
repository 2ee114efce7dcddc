package hub

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// licenseOf reads the licence of a card: an identifier of the hub in lower case, nearly always that of SPDX. "other" gives way to the name that the
// card gives; several are joined by AND, as in an expression of SPDX, since all that is known is that each applies somewhere.
func licenseOf(said json.RawMessage, name string) string {
	var several []string
	var one string
	if json.Unmarshal(said, &one) == nil {
		several = []string{one}
	} else if json.Unmarshal(said, &several) != nil {
		return ""
	}
	var known []string
	for _, id := range several {
		id = strings.ToLower(strings.Join(strings.Fields(id), " "))
		if id == "other" && name != "" {
			id = strings.ToLower(strings.Join(strings.Fields(name), " "))
		}
		if id != "" && id != "unknown" && !slices.Contains(known, id) {
			known = append(known, id)
		}
	}
	slices.Sort(known)
	return bound(strings.Join(known, " AND "), maxLicense)
}

const (
	maxLicense     = 200  // bytes
	maxDescription = 2000 // bytes
)

// describe cleans the text that the hub takes from a card: it is cut, has the layout of the card, and ends with an address.
func describe(said string) string {
	said, _, _ = strings.Cut(said, "See the full description on the dataset page:")
	return bound(strings.TrimRight(strings.Join(strings.Fields(said), " "), "… "), maxDescription)
}

func bound(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
