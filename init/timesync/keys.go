package timesync

import (
	"github.com/beevik/ntp"

	"rotunda/init/config"
)

// keyTypes by the names of [config.NTPKey].
var keyTypes = map[string]ntp.AuthType{"MD5": ntp.AuthMD5, "SHA1": ntp.AuthSHA1, "SHA256": ntp.AuthSHA256, "SHA512": ntp.AuthSHA512,
	"AES128": ntp.AuthAES128, "AES256": ntp.AuthAES256}

// authOptions are what the client of a server with a key needs.
func authOptions(number int, k config.NTPKey) ntp.AuthOptions {
	return ntp.AuthOptions{Type: keyTypes[k.Type], Key: k.Key, KeyID: uint32(number)}
}
