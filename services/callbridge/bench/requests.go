package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	clients = 16
	// requestsFor is how long the clients ask.
	requestsFor = 10 * time.Second
	// writeEvery is how many requests there are for each that changes something.
	writeEvery = 10
)

// requests measures the API as scripts use it: the service callbridge as a process of its own on the full database, and clients with
// a connection and a login each, which read a space nine times and rename it the tenth time. The clients share the machine with it.
func (b *bench) requests(ctx context.Context, dir string) (perSecond float64, err error) {
	address, err := freeAddress()
	if err != nil {
		return 0, err
	}
	c := &process{command: exec.CommandContext(ctx, b.services, "callbridge", "-database", b.socket, "-folder", filepath.Join(dir, "callbridge"),
		"-settings", filepath.Join(dir, "none"), "-listen", address, "-socket", "", "-developer", "bench:bench")}
	c.command.Stderr = os.Stderr
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.command.Start(); err != nil {
		return 0, err
	}
	defer c.end()
	base := "http://" + address + "/api/v1/"
	ids, err := someSpaces(ctx, base)
	if err != nil {
		return 0, err
	}
	var done atomic.Int64
	var wait sync.WaitGroup
	failed := make(chan error, clients)
	began := time.Now()
	for w := range clients {
		wait.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := 1; time.Since(began) < requestsFor; i++ {
				method, body := http.MethodGet, ""
				if i%writeEvery == 0 {
					method, body = http.MethodPut, fmt.Sprintf("name=Renamed+%d+%d", w, i)
				}
				if _, err := request(ctx, client, method, base+"coSpaces/"+ids[rand.IntN(len(ids))], body); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	close(failed)
	return float64(done.Load()) / time.Since(began).Seconds(), <-failed
}

func request(ctx context.Context, client *http.Client, method, url, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("bench", "bench")
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d: %s", method, url, answer.StatusCode, text)
	}
	return text, err
}

// someSpaces waits until the objects are loaded, and returns IDs from all over the list.
func someSpaces(ctx context.Context, base string) ([]string, error) {
	var ids []string
	for offset, until := 0, time.Now().Add(2*time.Minute); offset < 3000; {
		text, err := request(ctx, http.DefaultClient, http.MethodGet, fmt.Sprintf("%scoSpaces?offset=%d", base, offset), "")
		if err != nil {
			if time.Now().After(until) || ctx.Err() != nil {
				return nil, err
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		var page struct {
			Spaces []struct {
				ID string `xml:"id,attr"`
			} `xml:"coSpace"`
		}
		if err := xml.Unmarshal(text, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Spaces {
			ids = append(ids, s.ID)
		}
		offset += 20
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("there are no spaces")
	}
	return ids, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
