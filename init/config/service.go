package config

import (
	"fmt"
	"io"
	"os"
)

// ReadService reads the settings of a service, such as [DNSService], from the file that PID 1 wrote for it. It is as strict as [Decode]: a
// service that does not know one of its settings would run by others than were set.
func ReadService[S any](file string) (S, error) {
	var s, none S
	f, err := os.Open(file)
	if err != nil {
		return none, fmt.Errorf("read settings: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil {
		err = decodeStrictly(text, &s)
	}
	if err != nil {
		return none, fmt.Errorf("read settings: %w", err)
	}
	return s, nil
}
