//go:build qemu

package qemu

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rotunda/mmp/identity/slapdtest"
	"rotunda/services/callbridge/schema/collection"
	"rotunda/services/chromium"
)

// TestObjectsOutliveRebootAndMoveToASecondMachine is the application database as an administrator meets it: the pages and the API are
// brought up, a space is made and changed, and it is there after a reboot, and on another machine from a backup.
func TestObjectsOutliveRebootAndMoveToASecondMachine(t *testing.T) {
	t.Parallel()
	ports := []NIC{{Forward: []Forward{{Guest: 22}, {Guest: 443}}}}
	m := boot(t, Options{NICs: ports})
	m.firstLogin()
	m.await("ipv4 a", "10.0.2.15/24")
	certificate, key := selfSigned(t)
	m.sftp("put "+certificate, "put "+key)
	m.in("webadmin says what is missing, and comes up", func(m *trial) {
		m.sshFails("webadmin enable", "certificate")
		m.ssh("webadmin listen a 443")
		m.sshFails("webadmin certs web.crt web.key", "web.")
		m.ssh("webadmin certs web.key web.crt")
		m.ssh("webadmin enable")
		m.await("webadmin", "webadmin running")
	})
	var space string
	m.in("a space by the API", func(m *trial) {
		m.awaitAPI("coSpaces")
		wantContains(m.t, "status", m.api("GET", "system/status", nil), "<softwareVersion>", "<uptimeSeconds>")
		space = m.apiCreates("coSpaces", url.Values{"name": {"Weekly"}, "uri": {"weekly"}, "callId": {"88001"}})
		got := m.api("GET", "coSpaces/"+space, nil)
		wantContains(m.t, "the space", got, "<name>Weekly</name>", "<uri>weekly</uri>", "<callId>88001</callId>", "<nonMemberAccess>true</nonMemberAccess>")
		if !regexp.MustCompile(`<secret>[A-Za-z0-9_-]{22}</secret>`).MatchString(got) {
			m.t.Errorf("the space: got\n%s\nwant a secret of 22 characters", got)
		}
		m.apiFails("POST", "coSpaces", url.Values{"uri": {"WEEKLY"}}, 400, "duplicateCoSpaceUri")
		m.apiFails("GET", "coSpaces/"+strings.Replace(space, space[:4], "0000", 1), nil, 404, "coSpaceDoesNotExist")
		m.api("PUT", "cospaces/"+strings.ToUpper(space)+"/", url.Values{"Name": {"Weekly & more"}, "passcode": {"4711"}})
		wantContains(m.t, "the list", m.api("GET", "coSpaces?filter=weekly", nil), `<coSpaces total="1">`, "Weekly &amp; more")
	})
	m.in("curl, as scripts use it", func(m *trial) {
		out, err := exec.CommandContext(m.within(commandLimit), "curl", "-sS", "-k", "-u", "admin:"+password, "-d", "name=by curl", "-i",
			fmt.Sprintf("https://127.0.0.1:%d/api/v1/coSpaces", m.Port(443))).CombinedOutput()
		if err != nil || !regexp.MustCompile(`(?s)^HTTP/[0-9.]+ 200.*(?i:location): /api/v1/coSpaces/[0-9a-f-]{36}\r`).Match(out) {
			m.t.Errorf("curl: got %v\n%s\nwant 200 and the space's place", err, out)
		}
	})
	m.in("the collection of requests, as API clients use it", func(m *trial) { m.collected() })
	m.in("wrong passwords and other roles stay out", func(m *trial) {
		if got, _ := m.apiAs("admin", "wrong", "GET", "coSpaces", nil); got.StatusCode != 401 {
			m.t.Errorf("a wrong password: want 401, got %d", got.StatusCode)
		}
		request, err := http.NewRequest("GET", fmt.Sprintf("https://127.0.0.1:%d/", m.Port(443)), nil)
		if err != nil {
			m.t.Fatal(err)
		}
		r, body := m.https(request)
		if r.StatusCode != 200 || !strings.Contains(body, `type="password"`) {
			m.t.Errorf("the first page: got %d\n%s\nwant a login form", r.StatusCode, body)
		}
	})
	m.in("the pages in a browser: the space is there, and is changed in the explorer", func(m *trial) { m.changedInTheExplorer(space) })
	m.in("users and their spaces come from a directory", func(m *trial) { m.importsUsers(1000) })
	m.in("after a reboot it is all there", func(m *trial) {
		m.Serial.Drain()
		m.typed("reboot\r")
		m.login()
		m.awaitAPI("coSpaces")
		wantContains(m.t, "the space", m.api("GET", "coSpaces/"+space, nil), "Weekly &amp; more", "<passcode>4711</passcode>", "<cdrTag>from a browser</cdrTag>")
		wantContains(m.t, "the users", m.api("GET", "users?limit=1", nil), `<users total="1000">`)
		wantContains(m.t, "their spaces", m.api("GET", "coSpaces?filter=person0999.space", nil), `<coSpaces total="1">`, "Person 0999")
	})
	backup := filepath.Join(t.TempDir(), "objects.bak")
	m.in("it is in a backup", func(m *trial) {
		wantContains(m.t, "backup snapshot", m.ssh("backup snapshot objects"), "objects.bak ready for download")
		m.sftp("get objects.bak " + backup)
		m.api("DELETE", "coSpaces/"+space, nil)
		m.apiFails("GET", "coSpaces/"+space, nil, 404, "coSpaceDoesNotExist")
	})
	m.in("factory_reset app leaves no space", func(m *trial) {
		m.confirmed("factory_reset app")
		m.login()
		m.awaitAPI("coSpaces")
		wantContains(m.t, "the spaces", m.api("GET", "coSpaces", nil), `<coSpaces total="0"`)
		m.off()
	})
	other := boot(t, Options{NICs: ports})
	other.firstLogin()
	other.await("ipv4 a", "10.0.2.15/24")
	other.in("a second machine has it from the backup", func(m *trial) {
		m.sftp("put " + backup)
		m.confirmed("backup rollback objects")
		m.login()
		m.awaitAPI("coSpaces")
		wantContains(m.t, "the space", m.api("GET", "coSpaces/"+space, nil), "Weekly &amp; more", "<passcode>4711</passcode>")
	})
}

// changedInTheExplorer signs in to the pages and changes a space as an administrator would: by the form.
func (m *trial) changedInTheExplorer(space string) {
	m.t.Helper()
	origin := fmt.Sprintf("https://127.0.0.1:%d", m.Port(443))
	page := chromium.Start(m.t, "--ignore-certificate-errors").Open("about:blank")
	page.Await("a page", "document.readyState == 'complete'")
	page.Follow("location.href = %s", origin+"/login")
	chromium.Eval[any](page, "void (document.querySelector('[type=password]').form.querySelector('[autocomplete=username]').value = 'admin')")
	chromium.Eval[any](page, "void (document.querySelector('[type=password]').value = %s)", password)
	page.Follow("document.querySelector('[type=password]').form.requestSubmit()")
	if got := chromium.Eval[string](page, "location.pathname"); got != "/status" {
		m.t.Fatalf("after signing in: got %s, want the status", got)
	}
	page.Follow("location.href = %s", origin+"/configuration/api/coSpaces/"+space)
	if got := chromium.Eval[string](page, "document.querySelector('#f-name').value"); got != "Weekly & more" {
		m.t.Errorf("the name in the explorer: got %q", got)
	}
	chromium.Eval[any](page, "void (document.querySelector('#f-cdrTag').value = 'from a browser')")
	page.Follow("document.querySelector('#f-cdrTag').form.querySelector('button.main').click()")
	wantContains(m.t, "the space by the API", m.api("GET", "coSpaces/"+space, nil), "<cdrTag>from a browser</cdrTag>", "<passcode>4711</passcode>")
}

// importsUsers has the machine read a directory on this host, which it sees as its gateway.
func (m *trial) importsUsers(count int) {
	m.t.Helper()
	d := slapdtest.Start(m.t, slapdtest.Options{}, func(w io.Writer) {
		for n := range count {
			uid := fmt.Sprintf("person%04d", n)
			fmt.Fprintf(w, "dn: uid=%s,%s\nobjectClass: inetOrgPerson\nuid: %s\ncn: Person %04d\nsn: %04d\nmail: %s@example.com\n\n", uid, slapdtest.People, uid, n, n, uid)
		}
	})
	server := m.apiCreates("ldapServers", url.Values{"address": {"10.0.2.2"}, "portNumber": {strconv.Itoa(d.Port)}, "username": {slapdtest.Reader},
		"password": {slapdtest.Password}, "secure": {"false"}})
	mapping := m.apiCreates("ldapMappings", url.Values{"jidMapping": {"$uid$@example.com"}, "nameMapping": {"$cn$"},
		"coSpaceUriMapping": {"$mail|'/@.*//'$.space"}, "coSpaceNameMapping": {"$cn$"}})
	source := m.apiCreates("ldapSources", url.Values{"server": {server}, "mapping": {mapping}, "baseDn": {slapdtest.People}, "filter": {"(mail=*)"}})
	sync := m.apiCreates("ldapSyncs", url.Values{"ldapSource": {source}, "removeWhenFinished": {"false"}})
	ctx := m.within(bootLimit)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		got := m.api("GET", "ldapSyncs/"+sync, nil)
		if strings.Contains(got, "<state>complete</state>") {
			wantContains(m.t, "the import", got, fmt.Sprintf("<numUsersImported>%d</numUsersImported>", count))
			return
		}
		if strings.Contains(got, "<state>failed</state>") {
			m.t.Fatalf("the import failed:\n%s", got)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("the import does not end; it says\n%s", got)
		}
	}
}

// collected sends the requests of the published collection: the first meeting from top to bottom, and the list of every type.
func (m *trial) collected() {
	m.t.Helper()
	document, err := os.ReadFile("../docs/reference/rotunda.postman_collection.json")
	if err != nil {
		m.t.Fatal(err)
	}
	c, err := collection.Read(document)
	if err != nil {
		m.t.Fatal(err)
	}
	s := collection.Sender{Client: insecure(), Values: map[string]string{"server": fmt.Sprintf("https://127.0.0.1:%d", m.Port(443)), "user": "admin", "password": password}}
	sent := 0
	send := func(i collection.Item) {
		a, err := s.Send(m.within(commandLimit), c, i)
		if err != nil || a.Status != 200 {
			m.t.Errorf("%s %s: got %v, %d\n%s\nwant 200", i.Request.Method, i.Request.URL.Raw, err, a.Status, a.Body)
		}
		sent++
	}
	for _, i := range c.Folder(collection.FirstMeeting) {
		send(i)
	}
	for _, folder := range c.Items {
		for _, i := range folder.Items {
			// What lives below another object has no list of its own.
			if i.Name == "List" && !strings.Contains(strings.TrimPrefix(i.Request.URL.Raw, "{{server}}"), "{{") {
				send(i)
			}
		}
	}
	if sent < 40 {
		m.t.Errorf("only %d requests are in the collection", sent)
	}
}

// insecure is a client of the guest's Web Admin, whose certificate is self-signed.
func insecure() *http.Client {
	return &http.Client{Timeout: commandLimit, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
}

// https sends a request to the guest's Web Admin.
func (m *trial) https(request *http.Request) (*http.Response, string) {
	m.t.Helper()
	r, err := insecure().Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		m.t.Fatal(err)
	}
	return r, string(b)
}

// apiAs calls the API as a user. values are the body of POST and PUT.
func (m *trial) apiAs(user, secret, method, path string, values url.Values) (*http.Response, string) {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.within(commandLimit), method, fmt.Sprintf("https://127.0.0.1:%d/api/v1/%s", m.Port(443), path),
		strings.NewReader(values.Encode()))
	if err != nil {
		m.t.Fatal(err)
	}
	request.SetBasicAuth(user, secret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return m.https(request)
}

// api calls the API as the administrator, which must succeed, and returns the body.
func (m *trial) api(method, path string, values url.Values) string {
	m.t.Helper()
	r, body := m.apiAs("admin", password, method, path, values)
	if r.StatusCode != 200 {
		m.t.Fatalf("%s %s: got %d\n%s\nwant 200", method, path, r.StatusCode, body)
	}
	return body
}

// apiCreates makes an object and returns its ID.
func (m *trial) apiCreates(path string, values url.Values) string {
	m.t.Helper()
	r, body := m.apiAs("admin", password, "POST", path, values)
	// What is made below another object may have a path of its own: participants of a call.
	place := regexp.MustCompile(`^/api/v1/(?:.*/)?` + path[strings.LastIndex(path, "/")+1:] + `/([0-9a-f-]{36})$`).FindStringSubmatch(r.Header.Get("Location"))
	if r.StatusCode != 200 || place == nil || body != "" {
		m.t.Fatalf("POST %s: got %d, place %q and %q, want 200, the new object's place and no body", path, r.StatusCode, r.Header.Get("Location"), body)
	}
	return place[1]
}

// apiFails calls the API, which must refuse with a status and a code.
func (m *trial) apiFails(method, path string, values url.Values, status int, code string) {
	m.t.Helper()
	r, body := m.apiAs("admin", password, method, path, values)
	if r.StatusCode != status || !strings.Contains(body, "<failureDetails>") || !strings.Contains(body, "<"+code) {
		m.t.Errorf("%s %s: got %d\n%s\nwant %d and %s", method, path, r.StatusCode, body, status, code)
	}
}

// awaitAPI waits until the API answers: after a start the database and the Call Bridge take their seconds.
func (m *trial) awaitAPI(path string) {
	m.t.Helper()
	ctx := m.within(bootLimit)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("https://127.0.0.1:%d/api/v1/%s", m.Port(443), path), nil)
		if err != nil {
			m.t.Fatal(err)
		}
		request.SetBasicAuth("admin", password)
		r, err := client.Do(request)
		if err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				return
			}
			err = fmt.Errorf("status %d", r.StatusCode)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("the API did not answer in time; the last answer was %v", err)
		}
	}
}
