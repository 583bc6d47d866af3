package config

import (
	"strings"
	"testing"
)

func TestNTPSettingsThatCannotWorkAreNamed(t *testing.T) {
	if err := (NTP{Servers: []NTPServer{{Host: "ntp1.example.com"}, {Host: "2001:db8::1", Key: 7}}, Keys: "ntp.keys"}).validate(); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]NTP{
		`NTP server: "no host" is neither an address nor a host name`: {Servers: []NTPServer{{Host: "no host"}}},
		"NTP server A is there twice":                                 {Servers: []NTPServer{{Host: "a"}, {Host: "A"}}},
		"NTP server a has key 7, and there is no file of keys":        {Servers: []NTPServer{{Host: "a", Key: 7}}},
		"more than 8 NTP servers":                                     {Servers: make([]NTPServer, 9)},
	} {
		if err := bad.validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestKeysAreReadAsNTPProgramsWriteThem(t *testing.T) {
	keys, err := ParseNTPKeys([]byte("# keys\n1 M secret # the old one\n\n 20 sha1 0123456789abcdef0123456789abcdef01234567\n7 AES-128-CMAC HEX:00112233445566778899aabbccddeeff\n"))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]NTPKey{1: {"MD5", "ASCII:secret"}, 20: {"SHA1", "HEX:0123456789abcdef0123456789abcdef01234567"},
		7: {"AES128", "HEX:00112233445566778899aabbccddeeff"}} {
		if keys[n] != want {
			t.Errorf("key %d: want %+v, got %+v", n, want, keys[n])
		}
	}
	for file, want := range map[string]string{
		"1 MD5":                          "line 1 of the file of NTP keys: want a number, a type and a key",
		"\n0 MD5 secret":                 "line 2 of the file of NTP keys: the number is not from 1 to 65535",
		"1 ROT13 secret":                 "line 1 of the file of NTP keys: the type is none of",
		"1 MD5 HEX:secret":               "line 1 of the file of NTP keys: the key is not hexadecimal",
		"1 MD5 secretsecretsecretsecret": "line 1 of the file of NTP keys: a key of more than 20 characters has to be hexadecimal",
		"1 MD5 a\n1 MD5 b":               "line 2 of the file of NTP keys: the number is there twice",
	} {
		if _, err := ParseNTPKeys([]byte(file)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: want %q, got %v", file, want, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a key: %v", err)
		}
	}
}

func FuzzNTPKeys(f *testing.F) {
	f.Add([]byte("1 MD5 secret\n2 SHA1 0123456789abcdef0123456789abcdef01234567 # x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if keys, err := ParseNTPKeys(b); err == nil && len(keys) > maxNTPKeys {
			t.Fatal("too many keys")
		}
	})
}
