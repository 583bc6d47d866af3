// Sign makes licence files (package init/licence) for those who build images with a key of their own, and for tests.
//
//	go run ./services/callbridge/licence/sign -development -to "Test" -all 2027-Nov-22 -out cms.lic
//	go run ./services/callbridge/licence/sign -key licence.pem -to "Example Ltd" -host 00:50:56:ab:cd:ef \
//		-feature "callBridge expiry: 2027-Nov-22" -feature "recording limit: 10 expiry: 2027-Nov-22 grace: 30"
//
// openssl genpkey -algorithm ed25519 -out licence.pem makes a key, and -public prints its public half as the image takes it.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rotunda/init/licence"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, time.Now()); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ", ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func run(args []string, stdout io.Writer, now time.Time) error {
	f := flag.NewFlagSet("sign", flag.ContinueOnError)
	keyFile := f.String("key", "", "sign with the key in this file: PEM, or the seed of 32 bytes in base64")
	development := f.Bool("development", false, "sign with the development key, which everybody has")
	public := f.Bool("public", false, "print the public key and stop")
	to := f.String("to", "", "whom the licence is for")
	serial := f.String("serial", "", "a number to tell licences apart")
	all := f.String("all", "", "allow every feature until this day, such as 2027-Nov-22, or never; not callBridgeNoEncryption")
	out := f.String("out", "", "write to this file instead of the standard output")
	var hosts, features list
	f.Var(&hosts, "host", "bind to the MAC address of interface a, or to a host ID; may be given several times")
	f.Var(&features, "feature", `allow a feature, as in "recording limit: 10 expiry: 2027-Nov-22 grace: 30"; may be given several times`)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%s is no flag", f.Arg(0))
	}
	key, err := signingKey(*keyFile, *development)
	if err != nil {
		return err
	}
	if *public {
		_, err := fmt.Fprintln(stdout, base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
		return err
	}
	l := &licence.Licence{IssuedTo: *to, Serial: *serial, Issued: now.UTC()}
	for _, h := range hosts {
		l.Hosts = append(l.Hosts, licence.Host(h))
	}
	if *all != "" {
		for _, feature := range licence.Features {
			if !feature.Explicit {
				features = append(features, feature.API+" expiry: "+*all)
			}
		}
	}
	if len(features) == 0 {
		return errors.New("name what the licence allows, with -feature or -all")
	}
	for _, text := range features {
		g, err := licence.ParseGrant(text)
		if err != nil {
			return fmt.Errorf("feature %q: %w", text, err)
		}
		if licence.Find(g.Feature) == nil {
			return fmt.Errorf("feature %q: there is no feature %s", text, g.Feature)
		}
		l.Features = append(l.Features, g)
	}
	file, err := l.Sign(key)
	if err != nil {
		return err
	}
	if *out != "" {
		return os.WriteFile(*out, file, 0o644)
	}
	_, err = stdout.Write(file)
	return err
}

func signingKey(file string, development bool) (ed25519.PrivateKey, error) {
	if development == (file != "") {
		return nil, errors.New("say which key signs: -key <file> or -development")
	}
	if development {
		return licence.DevelopmentKey(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := licence.ParsePrivate(text)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", file, err)
	}
	return key, nil
}
