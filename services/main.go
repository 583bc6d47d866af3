// Command services is every service of Rotunda that is written in Go alone, in one program: the first argument says
// which. One program shares its pages among the processes and the image carries the Go runtime once. Each
// service is a process and a user of its own, started by PID 1; a crash of one is not noticed by the others.
//
// What decodes pictures and sound links libraries in C and is a program of its own (mediaworker).
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"rotunda/services/callbridge"
	"rotunda/services/database"
	"rotunda/services/media/manager"
	"rotunda/services/turn"
	"rotunda/services/webadmin"
)

// services by verb.
var services = map[string]func(args []string) error{
	"callbridge": callbridge.Main,
	"database":   database.Main,
	"media":      manager.Main,
	"turn":       turn.Main,
	"webadmin":   webadmin.Main,
}

func main() {
	if len(os.Args) < 2 || services[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: services %s [flags]\n", strings.Join(slices.Sorted(maps.Keys(services)), "|"))
		os.Exit(2)
	}
	err := services[os.Args[1]](os.Args[2:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "<27>%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
