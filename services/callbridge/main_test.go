package callbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rotunda/init/callers"
	"rotunda/mmp/admission"
	"rotunda/mmp/grammar"
	"rotunda/mmp/shell"
	"rotunda/services/callbridge/api"
	"rotunda/services/database/databasetest"
)

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// house is a running Call Bridge.
type house struct {
	t       *testing.T
	options options
	log     *journal
	reread  chan os.Signal
	client  *http.Client
	end     func()
}

// socketFolder is short: a socket's path has at most 107 bytes.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func open(t *testing.T, databaseSocket string) *house {
	t.Helper()
	return openAt(t, databaseSocket, nil)
}

// openAt is open with changed options.
func openAt(t *testing.T, databaseSocket string, change func(*options)) *house {
	t.Helper()
	dir := socketFolder(t)
	h := &house{t: t, log: &journal{}, reread: make(chan os.Signal), options: options{
		settings: filepath.Join(dir, "settings.json"), database: databaseSocket, socket: filepath.Join(dir, "api.sock"), listen: "127.0.0.1:0",
		folder: t.TempDir(), front: os.Getuid(), developer: "anna:right",
	}}
	h.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", h.options.socket)
	}}}
	if change != nil {
		change(&h.options)
	}
	h.start()
	t.Cleanup(func() { h.end() })
	return h
}

func (h *house) start() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, h.options, slog.New(&lines{to: h.log}), h.reread) }()
	h.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("want an orderly end, got %v", err)
		}
	})
}

// do makes a request in anna's name; it is tried until somebody answers and it is not 503, where wait says so.
func (h *house) do(method, path string, values url.Values, wait bool) (int, string, string) {
	h.t.Helper()
	for until := time.Now().Add(time.Minute); ; {
		r, err := http.NewRequest(method, "http://callbridge"+path, strings.NewReader(values.Encode()))
		if err != nil {
			h.t.Fatal(err)
		}
		r.Header.Set("Rotunda-User", "anna")
		r.Header.Set("Rotunda-Source", "192.0.2.7")
		answer, err := h.client.Do(r)
		if err == nil {
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				h.t.Fatal(err)
			}
			if answer.StatusCode != http.StatusServiceUnavailable || !wait {
				return answer.StatusCode, string(text), answer.Header.Get("Location")
			}
		}
		<-time.After(5 * time.Millisecond)
		if time.Now().After(until) {
			h.t.Fatalf("%s %s: no answer: %v; log: %s", method, path, err, h.log)
		}
	}
}

// expect wants 200 and returns the body and the Location.
func (h *house) expect(method, path string, values url.Values) (string, string) {
	h.t.Helper()
	status, body, location := h.do(method, path, values, true)
	if status != http.StatusOK {
		h.t.Fatalf("%s %s %v: want 200, got %d %s", method, path, values, status, body)
	}
	return body, location
}

func TestTheCallBridgeServesBeforeTheDatabaseDoes(t *testing.T) {
	d := databasetest.New(t)
	d.Stop()
	notices := filepath.Join(socketFolder(t), "notify")
	pid1, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notices, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer pid1.Close()
	t.Setenv("NOTIFY_SOCKET", notices)
	h := open(t, d.Socket())
	for _, want := range []string{"READY=1", "WATCHDOG=1"} {
		b := make([]byte, 100)
		_ = pid1.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := pid1.Read(b)
		if err != nil || string(b[:n]) != want {
			t.Fatalf("want %s, got %q %v", want, b[:n], err)
		}
	}
	if status, body, _ := h.do(http.MethodGet, "/api/v1/coSpaces", nil, false); status != http.StatusServiceUnavailable || !strings.Contains(body, "<databaseNotReady />") {
		t.Errorf("want 503 databaseNotReady, got %d %s", status, body)
	}
	if body, _ := h.expect(http.MethodGet, "/api/v1/system/alarms", nil); !strings.Contains(body, "<type>databaseConnectionError</type>") {
		t.Errorf("want an alarm, got %s", body)
	}
	d.Start()
	_, location := h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Room"}})
	if body, _ := h.expect(http.MethodGet, "/api/v1/system/alarms", nil); !strings.Contains(body, `total="0"`) {
		t.Errorf("want no alarm any more, got %s", body)
	}
	// Another life of the Call Bridge has the same objects, and the machine its ID.
	before, _ := h.expect(http.MethodGet, "/api/v1/system/status", nil)
	h.end()
	h.start()
	if body, _ := h.expect(http.MethodGet, location, nil); !strings.Contains(body, "<name>Room</name>") {
		t.Errorf("got %s", body)
	}
	after, _ := h.expect(http.MethodGet, "/api/v1/system/status", nil)
	host := func(s string) string {
		_, s, _ = strings.Cut(s, "<hostId>")
		s, _, _ = strings.Cut(s, "</hostId>")
		return s
	}
	if host(before) == "" || host(before) != host(after) {
		t.Errorf("want one ID of the machine, got %q and %q", host(before), host(after))
	}
}

func TestRulesAreOnTheAPI(t *testing.T) {
	d := databasetest.New(t)
	h := open(t, d.Socket())
	_, space := h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Room"}, "uri": {"room"}, "requireCallId": {"true"}})
	body, _ := h.expect(http.MethodGet, space, nil)
	for _, want := range []string{"<callId>", "<secret>", "<numAccessMethods>0</numAccessMethods>"} {
		if !strings.Contains(body, want) {
			t.Errorf("want %s in %s", want, body)
		}
	}
	h.expect(http.MethodPost, "/api/v1/inboundDialPlanRules", url.Values{"domain": {"example.com"}})
	body, _ = h.expect(http.MethodGet, space+"/meetingEntryDetail", nil)
	if want := "<meetingEntryDetail><coSpace>" + space[len(space)-36:] + "</coSpace><uri>room@example.com</uri><callId>"; !strings.Contains(body, want) {
		t.Errorf("want %s, got %s", want, body)
	}
	body, _ = h.expect(http.MethodGet, space+"/emailInvitation?language=de_DE", nil)
	if !strings.Contains(body, "<emailInvitation><subject>") || !strings.Contains(body, "room@example.com") {
		t.Errorf("got %s", body)
	}
	_, method := h.expect(http.MethodPost, space+"/accessMethods", url.Values{"uri": {"host"}, "passcode": {"4711"}})
	body, _ = h.expect(http.MethodGet, method+"/emailInvitation", nil)
	if !strings.Contains(body, "host@example.com") || !strings.Contains(body, "4711") {
		t.Errorf("got %s", body)
	}
	body, _ = h.expect(http.MethodPost, "/api/v1/uriUsageQuery", url.Values{"uri": {"host@example.com"}})
	if want := "<uriUsageQuery><coSpaceId>" + space[len(space)-36:] + "</coSpaceId></uriUsageQuery>"; !strings.Contains(body, want) {
		t.Errorf("want %s, got %s", want, body)
	}
	body, _ = h.expect(http.MethodPost, "/api/v1/accessQuery", url.Values{"uri": {"anything"}})
	if !strings.Contains(body, "<accessQuery><uri>anything@example.com</uri>") {
		t.Errorf("got %s", body)
	}
	for _, c := range []struct{ path, body, want string }{
		{"/api/v1/accessQuery", "tenant=7d2c&callId=x", "callId"}, {"/api/v1/uriUsageQuery", "uri=a&tenant=7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11", "tenantDoesNotExist"},
		{space + "/coSpaceUsers", "userJid=nobody@example.com", "userDoesNotExist"}, {"/api/v1/forwardingDialPlanRules", "matchPattern=*", "matchPattern"},
	} {
		values, err := url.ParseQuery(c.body)
		if err != nil {
			t.Fatal(err)
		}
		if status, body, _ := h.do(http.MethodPost, c.path, values, true); status != http.StatusBadRequest || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: want 400 with %s, got %d %s", c.path, c.body, c.want, status, body)
		}
	}
	if status, body, _ := h.do(http.MethodPost, "/api/v1/ldapMappings", url.Values{"jidMapping": {"$cn"}}, true); status != http.StatusBadRequest || !strings.Contains(body, `parameter="jidMapping"`) {
		t.Errorf("a mapping that is none: want 400, got %d %s", status, body)
	}
	// An import of everything, where there is nothing, is complete at once.
	_, sync := h.expect(http.MethodPost, "/api/v1/ldapSyncs", url.Values{"removeWhenFinished": {"false"}})
	for until := time.Now().Add(time.Minute); ; {
		body, _ := h.expect(http.MethodGet, sync, nil)
		if strings.Contains(body, "<state>complete</state>") {
			break
		}
		<-time.After(5 * time.Millisecond)
		if time.Now().After(until) {
			t.Fatalf("want an import that is complete, got %s", body)
		}
	}
	_, diagnostics := h.expect(http.MethodPost, space+"/diagnostics", nil)
	body, _ = h.expect(http.MethodGet, diagnostics+"/contents", nil)
	if !strings.Contains(body, `name: "Room"`) || strings.Contains(body, "4711") {
		t.Errorf("want the space without its passcodes, got %s", body)
	}
	// Bulk syncs are carried out by what runs beside the API.
	_, set := h.expect(http.MethodPost, "/api/v1/cospaceBulkParameterSets", url.Values{"startIndex": {"1"}, "endIndex": {"3"}, "coSpaceNameMapping": {"Bulk $index$"}})
	h.expect(http.MethodPost, "/api/v1/cospaceBulkSyncs", url.Values{"coSpaceBulkParameterSet": {set[len(set)-36:]}})
	for until := time.Now().Add(time.Minute); ; {
		if body, _ := h.expect(http.MethodGet, "/api/v1/cospaces?filter=bulk", nil); strings.Contains(body, `<coSpaces total="3">`) {
			break
		}
		<-time.After(5 * time.Millisecond)
		if time.Now().After(until) {
			t.Fatal("the bulk sync made no spaces")
		}
	}
	made := `callbridge: 192.0.2.7: API user "anna" created coSpace ` + space[len(space)-36:] + " (name, uri, "
	if log := h.log.String(); !strings.Contains(log, "<14>"+made) || !strings.Contains(log, "\n<134>"+made) || strings.Contains(log, "4711") {
		t.Errorf("want audit lines without passcodes, got %s", log)
	}
}

func TestSettingsAreReadAnew(t *testing.T) {
	h := open(t, databasetest.New(t).Socket())
	h.expect(http.MethodGet, "/api/v1/coSpaces", nil)
	for _, c := range []struct{ text, want string }{{"{", "the settings stay as they are"}, {`{"hostname":"cms"}`, "settings read anew"}} {
		if err := os.WriteFile(h.options.settings, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		h.reread <- os.Interrupt
		for until := time.Now().Add(time.Minute); !strings.Contains(h.log.String(), c.want); {
			<-time.After(5 * time.Millisecond)
			if time.Now().After(until) {
				t.Fatalf("want %q, got %s", c.want, h.log)
			}
		}
	}
	h.end()
	if err := os.WriteFile(h.options.settings, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), h.options, slog.New(slog.DiscardHandler), nil); err == nil {
		t.Error("settings that cannot be read: want an error at the start")
	}
}

func TestAMachineKeepsItsID(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	first, err := machineID(folder)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := machineID(folder); err != nil || again != first {
		t.Errorf("want %s, got %s %v", first, again, err)
	}
	if list, err := os.ReadDir(folder); err != nil || len(list) != 1 {
		t.Errorf("want one file, got %v %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "machine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := machineID(folder); err == nil || !strings.Contains(err.Error(), "backup") {
		t.Errorf("a damaged file: want an error that says what to do, got %v", err)
	}
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{"": "-folder is missing", "-folder x y": "unexpected argument", "-folder x -developer y": "name:password", "-folder x -front me": "invalid value"} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", args, want, err)
		}
	}
	o, err := parse([]string{"-folder", "x"})
	if err != nil || o.listen != Address || o.socket != Socket || o.front != -1 {
		t.Errorf("got %+v %v", o, err)
	}
}

// book is the accounts of a management shell, which knows scripts alone and no sessions.
type book struct{ admission.Accounts }

func (book) CheckPassword(_ context.Context, user, password string, from shell.Source) (*shell.Login, error) {
	if user != "scripts" || password != "right" || from.Addr.Addr().String() == "" {
		return nil, fmt.Errorf("%w: because", shell.ErrRefused)
	}
	return &shell.Login{User: user, Role: grammar.API, Source: from}, nil
}

func (book) LoggedIn(*shell.Login) {}

func (book) CheckCard(context.Context, [][]byte, shell.Source) (*shell.Login, error) {
	return nil, errors.New("no cards here")
}

func TestLoginsAreThoseOfTheManagementShell(t *testing.T) {
	path := filepath.Join(socketFolder(t), "admission.sock")
	accounts := &mmpAccounts{admission.NewClient(path)}
	if _, err := accounts.Check(t.Context(), "scripts", "right", "192.0.2.7"); err == nil || errors.Is(err, api.ErrRefused) {
		t.Errorf("nobody answers: want an error that refuses nobody, got %v", err)
	}
	l, err := callers.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := &admission.Server{Accounts: book{}, Services: map[uint32]bool{uint32(os.Getuid()): true}, Log: func(syslog.Priority, string, string) {}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Serve(ctx, l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, source := range []string{"192.0.2.7", "2001:db8::7", "[2001:db8::7]:4711", "local"} {
		if roles, err := accounts.Check(t.Context(), "scripts", "right", source); err != nil || len(roles) != 1 || roles[0] != "api" {
			t.Errorf("%s: want the role api, got %v %v", source, roles, err)
		}
	}
	if _, err := accounts.Check(t.Context(), "scripts", "wrong", "192.0.2.7"); !errors.Is(err, api.ErrRefused) {
		t.Errorf("want %v, got %v", api.ErrRefused, err)
	}
}

func TestLogLinesStayLines(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(&lines{to: &b}).With("part", "x")
	log.Info("two\nlines", "text", "a b", "n", 5)
	log.Warn("w")
	log.Error("e")
	log.Debug("nothing")
	if want := "<14>callbridge: two lines part=x text=\"a b\" n=5\n<12>callbridge: w part=x\n<11>callbridge: e part=x\n"; b.String() != want {
		t.Errorf("want %q, got %q", want, b.String())
	}
}

func TestLicencesAreOnTheAPI(t *testing.T) {
	h := open(t, databasetest.New(t).Socket())
	for path, want := range map[string]string{
		"system/licensing": "<callBridge><status>activated</status></callBridge>", "clusterLicensing": "<recording><status>activated</status></recording>",
		"system/multipartyLicensing": "<users>0</users><personalLicenses>0</personalLicenses>", "system/MPLicenseUsage": `<MPLicenseUsage total="0"/>`,
		"system/MPLicenseUsage/knownHosts": `<knownHosts total="0"/>`, "system/multipartyLicensing/activePersonalLicenses": `<activePersonalLicenses total="0"/>`,
	} {
		if body, _ := h.expect(http.MethodGet, "/api/v1/"+path, nil); !strings.Contains(body, want) {
			t.Errorf("%s: want %s, got %s", path, want, body)
		}
	}
	h.expect(http.MethodPost, "/api/v1/callLegProfiles", url.Values{"sipMediaEncryption": {"required"}})
	put := func(document string) int {
		t.Helper()
		r, err := http.NewRequest(http.MethodPut, "http://callbridge/api/v1/clusterLicensing/raw", strings.NewReader(document))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Rotunda-User", "anna")
		answer, err := h.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for _, document := range []string{"", "features=x", `{"features":{"tea":"2026-Dec-31"}}`, `{"features":{"callBridge":"2999-Dec-31"}}`} {
		if status := put(document); status != http.StatusBadRequest {
			t.Errorf("%s: want 400, got %d", document, status)
		}
	}
	day := time.Now().AddDate(0, 0, 30).Format("2006-Jan-02")
	if status := put(`{"features":{"callBridgeNoEncryption":"` + day + `"}}`); status != http.StatusOK {
		t.Fatalf("want 200, got %d", status)
	}
	if body, _ := h.expect(http.MethodGet, "/api/v1/clusterLicensing", nil); !strings.Contains(body, "<callBridgeNoEncryption><status>activated</status><expiry>"+day+"</expiry></callBridgeNoEncryption>") {
		t.Errorf("got %s", body)
	}
	// A licence without encryption of media allows no profile that asks for it (guide appendix D).
	if status, body, _ := h.do(http.MethodPost, "/api/v1/callLegProfiles", url.Values{"sipMediaEncryption": {"required"}}, true); status != http.StatusBadRequest || !strings.Contains(body, `parameter="sipMediaEncryption"`) {
		t.Errorf("want 400, got %d %s", status, body)
	}
	h.expect(http.MethodPost, "/api/v1/callLegProfiles", url.Values{"sipMediaEncryption": {"prohibited"}})
}

func TestADatabaseThatGoesAwayIsAnAlarm(t *testing.T) {
	d := databasetest.New(t)
	b := &bridge{log: slog.New(slog.DiscardHandler), alarms: newAlarms()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.watchDatabase(ctx, d.Client(), time.Millisecond) }()
	until := func(want int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); len(b.alarms.list()) != want; <-time.After(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("want %d alarms, got %v", want, b.alarms.list())
			}
		}
	}
	d.Stop()
	until(1)
	d.Start()
	until(0)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestInvitationsDoNotTakeAllPlaces(t *testing.T) {
	h := open(t, databasetest.New(t).Socket())
	_, space := h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Room"}})
	// A web server that takes its time.
	asked, hold := make(chan struct{}, 100), make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-hold
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	_, profile := h.expect(http.MethodPost, "/api/v1/callBrandingProfiles", url.Values{"invitationTemplate": {"http://" + l.Addr().String() + "/t"}})
	h.expect(http.MethodPut, "/api/v1/system/profiles", url.Values{"callBrandingProfile": {profile[len(profile)-36:]}})
	var group sync.WaitGroup
	for range maxInviting {
		group.Go(func() { h.do(http.MethodGet, space+"/emailInvitation", nil, false) })
	}
	for range maxInviting {
		<-asked
	}
	if status, body, _ := h.do(http.MethodGet, space+"/emailInvitation", nil, false); status != http.StatusServiceUnavailable {
		t.Errorf("want 503, got %d %s", status, body)
	}
	h.expect(http.MethodGet, space, nil)
	close(hold)
	group.Wait()
}
