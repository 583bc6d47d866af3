package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSettingsOfAServiceAreReadAsTheyWereWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	written := NTPService{Servers: []NTPServer{{Host: "ntp.example.com", Key: 7}}, Keys: []byte("7 SHA256 x"), Leased: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	b, err := json.MarshalIndent(written, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadService[NTPService](file); err != nil || !reflect.DeepEqual(got, written) {
		t.Errorf("wanted %+v, got %+v, %v", written, got, err)
	}
}

func TestSettingsThatAreNotThoseOfAServiceAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	if _, err := ReadService[DNSService](file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	for text, want := range map[string]string{
		"":                               "empty",
		"{":                              "unexpected EOF",
		`{"leased":["192.0.2.1"]} {}`:    "more bytes follow",
		`{"leased":["192.0.2.1"],"a":1}`: `unknown field "a"`,
		`{"leased":[1]}`:                 "cannot unmarshal",
		strings.Repeat(" ", MaxSize+1):   "larger than",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadService[DNSService](file)
		if err == nil || !strings.HasPrefix(err.Error(), "read settings: ") || !strings.Contains(err.Error(), want) || !reflect.DeepEqual(got, DNSService{}) {
			t.Errorf("%.40q: wanted nothing and an error with %q, got %+v, %v", text, want, got, err)
		}
	}
}
