package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"rotunda/init/control"
	"rotunda/init/plain"
	"rotunda/mmp/files"
)

// notice reads a text that an administrator has stored. Only what prints reaches other people's terminals.
func notice(view *files.Store, name string) string {
	f, err := view.OpenStored(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	// 2048 characters are allowed, of up to 4 bytes.
	data, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err != nil {
		return ""
	}
	return printable(strings.ToValidUTF8(string(data), "?"))
}

// welcomeTime bounds how long PID 1 may take to say what the welcome text shows.
const welcomeTime = 2 * time.Second

// welcome is what a console shows before the login.
func welcome(ctx context.Context, machine control.Machine, warning string) string {
	ctx, cancel := context.WithTimeout(ctx, welcomeTime)
	defer cancel()
	var b strings.Builder
	b.WriteString("Welcome to Rotunda")
	if r, err := machine.Release(ctx); err == nil {
		fmt.Fprintf(&b, " %s (%s)", r.Version, r.Platform)
	}
	b.WriteByte('\n')
	if list, err := machine.Interfaces(ctx); err == nil {
		for _, i := range list {
			addresses := make([]string, 0, len(i.Addresses))
			for _, a := range i.Addresses {
				addresses = append(addresses, a.String())
			}
			switch {
			case len(addresses) > 0:
			case !i.Up:
				addresses = []string{"off"}
			case !i.Carrier:
				addresses = []string{"no link"}
			default:
				addresses = []string{"no address"}
			}
			fmt.Fprintf(&b, "interface %s : %s\n", i.Name, strings.Join(addresses, ", "))
		}
	} else {
		b.WriteString("The system does not answer.\n")
	}
	if c, err := machine.Config(ctx); err == nil && c.FailSafe != "" {
		fmt.Fprintf(&b, "FAIL-SAFE CONFIGURATION: %s\n", printable(c.FailSafe))
	}
	if warning != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(warning, "\n"))
	}
	return b.String()
}

// printable replaces what could steer a terminal, and leaves line ends.
func printable(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r", ""), "\n")
	for i, line := range lines {
		lines[i] = plain.Line(line, '?')
	}
	return strings.Join(lines, "\n")
}
