package turn

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"rotunda/init/config"
	"rotunda/init/notify"
)

const (
	// StatusAddress is where status and metrics are read, on loopback only.
	StatusAddress = "127.0.0.1:3479"
	// lookEvery is how often the addresses of the interfaces are looked at: DHCP may give others.
	lookEvery = 2 * time.Second
	// watchdogEvery is a sixth of the limit that PID 1 sets.
	watchdogEvery = 5 * time.Second
)

// Main is the verb "turn". It serves until SIGTERM; at SIGHUP it reads its settings anew.
func Main(args []string) error {
	flags := flag.NewFlagSet("turn", flag.ContinueOnError)
	file := flags.String("settings", "/run/rotunda/turn/settings.json", "`file` of the settings, which PID 1 writes")
	status := flags.String("status", StatusAddress, "loopback `address` for status and metrics, empty for none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	// 14 is user.info.
	s := NewServer(func(text string) { fmt.Printf("<14>turn: %s\n", text) })
	return serve(ctx, s, *file, *status, hangup)
}

// serve runs the server by the settings in a file until the context ends.
func serve(ctx context.Context, s *Server, file, status string, reread <-chan os.Signal) error {
	defer s.Close()
	now, err := readSettings(file, settings{})
	if err != nil {
		return err
	}
	if now.trouble != "" {
		s.log(now.trouble)
	}
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if status != "" {
		listener, err := net.Listen("tcp", status)
		if err != nil {
			return fmt.Errorf("listen for status: %w", err)
		}
		web := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
		group.Go(func() {
			if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				cancel(err)
			}
		})
		defer web.Close()
	}
	said := ""
	look := func() {
		// The same trouble is told once: an interface may have no address for as long as its cable is out.
		text := ""
		if plan, err := now.plan(interfaces); err != nil {
			text = err.Error()
		} else if err := s.Apply(plan); err != nil {
			text = err.Error()
		}
		if text != said && text != "" {
			s.log(text)
		}
		said = text
	}
	look()
	if err := notify.Ready(); err != nil {
		return err
	}
	group.Go(func() {
		err := notify.Watchdog(ctx, watchdogEvery, func() {
			// A lane that answers is not stuck, nor is anything that its packets need.
			s.Ping()
		})
		if err != nil {
			cancel(err)
		}
	})
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		case <-reread:
			changed, err := readSettings(file, now)
			if err != nil {
				s.log(fmt.Sprintf("the settings stay as they are: %v", err))
				continue
			}
			now = changed
			s.log("settings read anew")
			if now.trouble != "" {
				s.log(now.trouble)
			}
		case <-tick.C:
		}
		look()
	}
}

// settings are what PID 1 wrote, with the certificate made ready.
type settings struct {
	config.TURNService
	certificate *tls.Certificate
	// trouble is what is wrong with the certificate, empty if nothing is.
	trouble string
}

// readSettings reads them after others, whose certificate stays in the place of one that cannot be used: of another key, for example,
// when a new one was put by SFTP before its key.
func readSettings(file string, before settings) (settings, error) {
	var s settings
	var err error
	if s.TURNService, err = config.ReadService[config.TURNService](file); err != nil {
		return s, err
	}
	if s.Key == "" {
		return s, nil
	}
	pair, err := tls.X509KeyPair([]byte(s.Chain), []byte(s.Key))
	switch {
	case err == nil:
		s.certificate = &pair
	case before.certificate != nil:
		s.certificate, s.trouble = before.certificate, "the certificate stays as it was: "+err.Error()
	default:
		// Clients that come without TLS, as browsers do, need no certificate.
		s.trouble = "TLS is off: " + err.Error()
	}
	return s, nil
}

// Handler serves /status as JSON and /metrics for Prometheus.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Status())
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		status, sum := s.status()
		status.writeMetrics(w, sum)
	})
	return mux
}
