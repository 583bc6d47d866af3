package snmp

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:generate go test -count=1 -run MIBIsWhatTheDeclarationsSay -update .

var update = flag.Bool("update", false, "write generated files anew")

const mibFile = "../../docs/reference/ROTUNDA-MIB.txt"

// mib is our own objects in SMIv2 (RFC 2578).
func mib() []byte {
	var b bytes.Buffer
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("-- Made from the declarations in init/snmp; a test fails when the two differ.")
	p("ROTUNDA-MIB DEFINITIONS ::= BEGIN\n")
	p("IMPORTS\n    MODULE-IDENTITY, OBJECT-TYPE, NOTIFICATION-TYPE, Integer32, Gauge32, Counter32, TimeTicks, enterprises\n        FROM SNMPv2-SMI")
	p("    TruthValue\n        FROM SNMPv2-TC\n    MODULE-COMPLIANCE, OBJECT-GROUP, NOTIFICATION-GROUP\n        FROM SNMPv2-CONF\n    SnmpAdminString\n        FROM SNMP-FRAMEWORK-MIB;\n")
	var path []string
	for _, n := range enterprise[6:] {
		path = append(path, fmt.Sprint(n))
	}
	p("rotunda MODULE-IDENTITY\n    LAST-UPDATED \"202611220000Z\"\n    ORGANIZATION \"Rotunda\"\n    CONTACT-INFO \"See the project's README.\"")
	p("    DESCRIPTION \"State of a Rotunda meeting server. Nothing can be written.\"")
	p("    REVISION \"202611220000Z\"\n    DESCRIPTION \"The first one.\"\n    ::= { enterprises %s }\n", strings.Join(path, " "))
	p("rotundaNotifications OBJECT IDENTIFIER ::= { rotunda 0 }\nrotundaObjects OBJECT IDENTIFIER ::= { rotunda 1 }\nrotundaConformance OBJECT IDENTIFIER ::= { rotunda 2 }\n")
	units := func(o own) string {
		if o.units == "" {
			return ""
		}
		return fmt.Sprintf("\n    UNITS \"%s\"", o.units)
	}
	var all []string
	for g, group := range objects {
		p("%s OBJECT IDENTIFIER ::= { rotundaObjects %d }\n", group.name, g+1)
		for i, o := range group.scalars {
			all = append(all, o.name)
			p("%s OBJECT-TYPE\n    SYNTAX %s%s\n    MAX-ACCESS read-only\n    STATUS current\n    DESCRIPTION \"%s\"\n    ::= { %s %d }\n", o.name, o.syntax, units(o), o.help, group.name, i+1)
		}
		for i, t := range group.tables {
			entry := strings.ToUpper(t.row[:1]) + t.row[1:]
			p("%s OBJECT-TYPE\n    SYNTAX SEQUENCE OF %s\n    MAX-ACCESS not-accessible\n    STATUS current\n    DESCRIPTION \"%s\"\n    ::= { %s %d }\n", t.name, entry, t.help, group.name, len(group.scalars)+i+1)
			p("%s OBJECT-TYPE\n    SYNTAX %s\n    MAX-ACCESS not-accessible\n    STATUS current\n    DESCRIPTION \"One of them.\"\n    INDEX { IMPLIED %s }\n    ::= { %s 1 }\n", t.row, entry, t.index, t.name)
			p("%s ::= SEQUENCE {\n    %s SnmpAdminString,", entry, t.index)
			for c, o := range t.columns {
				comma := ","
				if c == len(t.columns)-1 {
					comma = ""
				}
				syntax, _, _ := strings.Cut(string(o.syntax), " {")
				p("    %s %s%s", o.name, syntax, comma)
			}
			p("}\n")
			p("%s OBJECT-TYPE\n    SYNTAX SnmpAdminString (SIZE (1..%d))\n    MAX-ACCESS not-accessible\n    STATUS current\n    DESCRIPTION \"Its name.\"\n    ::= { %s 1 }\n", t.index, maxRowName, t.row)
			for c, o := range t.columns {
				all = append(all, o.name)
				p("%s OBJECT-TYPE\n    SYNTAX %s%s\n    MAX-ACCESS read-only\n    STATUS current\n    DESCRIPTION \"%s\"\n    ::= { %s %d }\n", o.name, o.syntax, units(o), o.help, t.row, c+2)
			}
		}
	}
	var told []string
	for i, n := range notifications {
		told = append(told, n.name)
		p("%s NOTIFICATION-TYPE\n    OBJECTS { %s }\n    STATUS current\n    DESCRIPTION \"%s\"\n    ::= { rotundaNotifications %d }\n", n.name, strings.Join(n.objects, ", "), n.help, i+1)
	}
	p("rotundaCompliance MODULE-COMPLIANCE\n    STATUS current\n    DESCRIPTION \"All of it.\"\n    MODULE MANDATORY-GROUPS { rotundaObjectGroup, rotundaNotificationGroup }\n    ::= { rotundaConformance 1 }\n")
	p("rotundaObjectGroup OBJECT-GROUP\n    OBJECTS { %s }\n    STATUS current\n    DESCRIPTION \"All objects.\"\n    ::= { rotundaConformance 2 }\n", strings.Join(all, ",\n        "))
	p("rotundaNotificationGroup NOTIFICATION-GROUP\n    NOTIFICATIONS { %s }\n    STATUS current\n    DESCRIPTION \"All notifications.\"\n    ::= { rotundaConformance 3 }\n\nEND", strings.Join(told, ", "))
	return b.Bytes()
}

func TestTheMIBIsWhatTheDeclarationsSay(t *testing.T) {
	if *update {
		if err := os.WriteFile(mibFile, mib(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(mibFile); err != nil || !bytes.Equal(have, mib()) {
		t.Errorf("%s is not what the declarations say (%v): run go generate ./init/snmp", mibFile, err)
	}
}

// standard are as much of the standard's modules as ours needs: Debian has them in a package that is not free.
var standard = map[string]string{
	"SNMPv2-SMI": `SNMPv2-SMI DEFINITIONS ::= BEGIN
org OBJECT IDENTIFIER ::= { iso 3 }
dod OBJECT IDENTIFIER ::= { org 6 }
internet OBJECT IDENTIFIER ::= { dod 1 }
private OBJECT IDENTIFIER ::= { internet 4 }
enterprises OBJECT IDENTIFIER ::= { private 1 }
snmpV2 OBJECT IDENTIFIER ::= { internet 6 }
snmpModules OBJECT IDENTIFIER ::= { snmpV2 3 }
END
`,
	"SNMPv2-TC": `SNMPv2-TC DEFINITIONS ::= BEGIN
TruthValue ::= TEXTUAL-CONVENTION
    STATUS current
    DESCRIPTION "A boolean."
    SYNTAX INTEGER { true(1), false(2) }
END
`,
	"SNMPv2-CONF": "SNMPv2-CONF DEFINITIONS ::= BEGIN\nEND\n",
	"SNMP-FRAMEWORK-MIB": `SNMP-FRAMEWORK-MIB DEFINITIONS ::= BEGIN
SnmpAdminString ::= TEXTUAL-CONVENTION
    DISPLAY-HINT "255t"
    STATUS current
    DESCRIPTION "Text."
    SYNTAX OCTET STRING (SIZE (0..255))
END
`,
}

func TestManagersUnderstandTheMIB(t *testing.T) {
	folder := t.TempDir()
	for name, text := range standard {
		if err := os.WriteFile(filepath.Join(folder, name+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "ROTUNDA-MIB.txt"), mib(), 0o600); err != nil {
		t.Fatal(err)
	}
	translate := func(name string) string {
		t.Helper()
		if _, err := exec.LookPath("snmptranslate"); err != nil {
			t.Skip("snmptranslate is not installed: see image/install-packages")
		}
		c := exec.Command("snmptranslate", "-M", folder, "-m", "ROTUNDA-MIB", "-On", "-PeW", name)
		c.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+t.TempDir())
		b, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		return strings.TrimPrefix(lines[len(lines)-1], ".")
	}
	for g, group := range objects {
		for i, o := range group.scalars {
			if got, want := translate("ROTUNDA-MIB::"+o.name+".0"), enterprise.with(1, uint32(g+1), uint32(i+1), 0).String(); got != want {
				t.Errorf("%s: want %s, got %s", o.name, want, got)
			}
		}
		for _, table := range group.tables {
			for _, o := range table.columns {
				if got, want := translate(`ROTUNDA-MIB::`+o.name+`.'turn'`), ownColumn(o.name, "turn").String(); got != want {
					t.Errorf("%s: want %s, got %s", o.name, want, got)
				}
			}
		}
	}
	for _, n := range notifications {
		if got, want := translate("ROTUNDA-MIB::"+n.name), notificationOID(n.name).String(); got != want {
			t.Errorf("%s: want %s, got %s", n.name, want, got)
		}
	}
}
