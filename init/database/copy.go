// Package database takes a snapshot of the running database into a backup. It asks by HTTP on the database's socket, so that PID 1's program
// need not speak etcd's language, and everything that was acknowledged before is in it.
//
// A rollback writes the file into the folder of the new set, where the database finds it at its next start and restores it
// (services/database). A factory reset leaves the folder away, which is an empty database.
package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"rotunda/init/callers"
)

const (
	// Service is the folder of the database below app/ of a set, and the service's name.
	Service = "database"
	// Path is what the socket answers with a snapshot, and File what a snapshot is called in a backup and in the folder.
	Path = "/rotunda/snapshot"
	File = "snapshot.db.zst"
)

// tryEvery is how often a database that does not listen is asked again.
const tryEvery = 100 * time.Millisecond

// Copy is the database as a state.Contributor.
type Copy struct {
	Socket string
	// Patience is how long to wait for a database that is starting.
	Patience time.Duration
}

// Service is part of state.Contributor.
func (Copy) Service() string { return Service }

// Contribute fetches the snapshot into a folder. A backup without its database would look whole: when there is none to ask, there is
// no backup.
func (c Copy) Contribute(ctx context.Context, folder string) error {
	answer, err := c.ask(ctx)
	if err != nil {
		return fmt.Errorf("the database does not answer: %w; \"health\" says whether it runs", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the database for a snapshot: %s", answer.Status)
	}
	f, err := os.OpenFile(filepath.Join(folder, File), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	// A snapshot that breaks off is an error here: its length is not told in advance, and HTTP marks its end.
	if _, err := io.Copy(f, answer.Body); err != nil {
		return fmt.Errorf("read snapshot of the database: %w", err)
	}
	return f.Close()
}

// ask tries until the database listens.
func (c Copy) ask(ctx context.Context) (*http.Response, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext:        callers.Dial(c.Socket),
	}}
	limit := time.After(c.Patience)
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://database"+Path, nil)
		if err != nil {
			return nil, err
		}
		answer, err := client.Do(request)
		if err == nil || !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ECONNREFUSED) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-limit:
			return nil, err
		case <-time.After(tryEvery):
		}
	}
}
