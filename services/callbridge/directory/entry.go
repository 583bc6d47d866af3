package directory

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/uuid"
)

// mostValue bounds a value in bytes. A longer one is taken as missing: no field is as long.
const mostValue = 4096

// entry is one object of a directory with the values that we asked for.
type entry struct {
	dn     string
	values map[string]string // by attribute in lower case; the first value where there are several
}

func entryOf(e *ldap.Entry) entry {
	x := entry{dn: e.DN, values: make(map[string]string, len(e.Attributes))}
	for _, a := range e.Attributes {
		name := strings.ToLower(a.Name)
		if len(a.ByteValues) == 0 || len(a.ByteValues[0]) > mostValue {
			continue
		}
		x.values[name] = string(a.ByteValues[0])
	}
	return x
}

// text returns the first value of an attribute; "" where there is none or it is no text. Names are compared without
// regard to case, as in LDAP itself.
func (e entry) text(attribute string) string {
	v := e.values[strings.ToLower(attribute)]
	if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
		return ""
	}
	return v
}

// guidAttributes have the identifier that stays when an entry is renamed or moved: of Active Directory, OpenLDAP (RFC 4530), the servers
// that come from Netscape's, and Oracle Internet Directory.
var guidAttributes = []string{"objectGUID", "entryUUID", "nsuniqueid", "orclguid"}

// guid returns the identifier in the form of a GUID; "" where the directory shows none.
func (e entry) guid() string {
	// Active Directory keeps 16 bytes, the first three numbers with the lowest byte first.
	if b := []byte(e.values["objectguid"]); len(b) == 16 {
		var id uuid.UUID
		binary.BigEndian.PutUint32(id[0:], binary.LittleEndian.Uint32(b[0:]))
		binary.BigEndian.PutUint16(id[4:], binary.LittleEndian.Uint16(b[4:]))
		binary.BigEndian.PutUint16(id[6:], binary.LittleEndian.Uint16(b[6:]))
		copy(id[8:], b[8:])
		return id.String()
	}
	for _, name := range guidAttributes[1:] {
		// 32 digits, with hyphens here or there.
		if b, err := hex.DecodeString(strings.ReplaceAll(e.values[strings.ToLower(name)], "-", "")); err == nil && len(b) == 16 {
			return uuid.UUID(b).String()
		}
	}
	return ""
}
