package sbom

import (
	"regexp"
	"slices"
	"strings"
)

// spdx are the identifiers of the SPDX licence list that this package knows.
var spdx = []string{
	"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "ISC",
	"LGPL-2.1-only", "LGPL-2.1-or-later", "MIT", "MPL-2.0",
}

// IsSPDX tells whether the name is one of the identifiers that this package writes as such.
func IsSPDX(name string) bool { return slices.Contains(spdx, name) }

// fromDebian are the short names of Debian's copyright format (DEP 5) that mean exactly one SPDX identifier.
var fromDebian = map[string]string{
	"Apache-2.0":   "Apache-2.0",
	"BSD-2-clause": "BSD-2-Clause",
	"BSD-3-clause": "BSD-3-Clause",
	"CC0-1.0":      "CC0-1.0",
	"Expat":        "MIT",
	"GPL-2":        "GPL-2.0-only",
	"GPL-2+":       "GPL-2.0-or-later",
	"GPL-3":        "GPL-3.0-only",
	"GPL-3+":       "GPL-3.0-or-later",
	"ISC":          "ISC",
	"LGPL-2.1":     "LGPL-2.1-only",
	"LGPL-2.1+":    "LGPL-2.1-or-later",
	"MPL-2.0":      "MPL-2.0",
}

// FromDebian returns the SPDX identifier of a Debian licence name, or the name itself.
func FromDebian(name string) string {
	if id, ok := fromDebian[name]; ok {
		return id
	}
	return name
}

// The sentences that tell the licences apart, lower case and with single blanks.
const (
	apacheTitle   = "apache license version 2.0, january 2004"
	mozillaTitle  = "mozilla public license version 2.0"
	mitGrant      = "permission is hereby granted, free of charge, to any person obtaining a copy of this software"
	iscGrant      = "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"
	iscGrantPlain = "permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"
	bsdGrant      = "redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are met"
	// The third condition names the holder: "Neither the name of Google Inc. nor the names of its contributors …".
	bsdThird = "used to endorse or promote products derived from this software without specific prior written permission"
)

var blanks = regexp.MustCompile(`[\s*#]+`)

// Recognise returns the SPDX identifiers of the licences whose wording the text contains, sorted; nil if none is known.
func Recognise(text string) []string {
	text = blanks.ReplaceAllString(strings.ToLower(text), " ")
	var ids []string
	if strings.Contains(text, apacheTitle) {
		ids = append(ids, "Apache-2.0")
	}
	if strings.Contains(text, bsdGrant) {
		if strings.Contains(text, bsdThird) {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	if strings.Contains(text, iscGrant) || strings.Contains(text, iscGrantPlain) {
		ids = append(ids, "ISC")
	}
	if strings.Contains(text, mitGrant) {
		ids = append(ids, "MIT")
	}
	if strings.Contains(text, mozillaTitle) {
		ids = append(ids, "MPL-2.0")
	}
	return ids
}
