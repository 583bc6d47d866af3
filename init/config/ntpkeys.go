package config

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// NTPKey is a symmetric key.
type NTPKey struct {
	// Type is MD5, SHA1, SHA256, SHA512, AES128 or AES256.
	Type string
	// Key begins with HEX: or ASCII:.
	Key string
}

// Approved says that FIPS 140-3 has it: neither MD5, nor SHA-1 for signing.
func (k NTPKey) Approved() bool { return k.Type != "MD5" && k.Type != "SHA1" }

// maxNTPKeys is how many there may be in a file.
const maxNTPKeys = 256

// ntpKeyTypes are those of NTP programs' files. M stands for MD5 there.
var ntpKeyTypes = map[string]string{"M": "MD5", "MD5": "MD5", "SHA1": "SHA1", "SHA256": "SHA256", "SHA512": "SHA512",
	"AES128CMAC": "AES128", "AES128": "AES128", "AES256CMAC": "AES256", "AES256": "AES256"}

// ParseNTPKeys reads a file of symmetric keys: lines of number, type and key, where a key of more than 20 characters is hexadecimal; what follows
// a # is a remark. An error names the line and never the key.
func ParseNTPKeys(file []byte) (map[int]NTPKey, error) {
	keys := map[int]NTPKey{}
	lines := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		bad := func(why string) error { return fmt.Errorf("line %d of the file of NTP keys: %s", n, why) }
		if len(words) != 3 {
			return nil, bad("want a number, a type and a key")
		}
		number, err := strconv.Atoi(words[0])
		if err != nil || number < 1 || number > 65535 {
			return nil, bad("the number is not from 1 to 65535")
		}
		kind, known := ntpKeyTypes[strings.ToUpper(strings.ReplaceAll(words[1], "-", ""))]
		if !known {
			return nil, bad("the type is none of MD5, SHA1, SHA256, SHA512, AES128CMAC and AES256CMAC")
		}
		key := words[2]
		switch {
		case strings.HasPrefix(key, "HEX:"), strings.HasPrefix(key, "ASCII:"):
		case len(key) > 20:
			if _, err := hex.DecodeString(key); err != nil {
				return nil, bad("a key of more than 20 characters has to be hexadecimal")
			}
			key = "HEX:" + key
		default:
			key = "ASCII:" + key
		}
		if text, ok := strings.CutPrefix(key, "HEX:"); ok {
			if _, err := hex.DecodeString(text); err != nil {
				return nil, bad("the key is not hexadecimal")
			}
		}
		if _, twice := keys[number]; twice {
			return nil, bad("the number is there twice")
		}
		if len(keys) == maxNTPKeys {
			return nil, bad(fmt.Sprintf("there are more than %d keys", maxNTPKeys))
		}
		keys[number] = NTPKey{Type: kind, Key: key}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the file of NTP keys: %w", err)
	}
	return keys, nil
}
