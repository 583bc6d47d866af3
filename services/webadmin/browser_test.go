package webadmin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"rotunda/services/chromium"
)

// tab is a page in a real browser.
type tab struct {
	*chromium.Tab
	*testing.T
	origin string
}

// keys that have no character, by the names of the DevTools protocol.
var keys = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "Backspace": 8}

// press presses a key, with shift when it begins with "Shift+".
func (t *tab) press(names ...string) {
	t.Helper()
	for _, name := range names {
		modifiers := 0
		if rest, ok := strings.CutPrefix(name, "Shift+"); ok {
			name, modifiers = rest, 8
		}
		p := map[string]any{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": keys[name], "modifiers": modifiers}
		switch name {
		case "Enter":
			p["text"] = "\r"
		case " ":
			p["text"], p["code"] = " ", "Space"
		}
		t.Command("Input.dispatchKeyEvent", p)
		p["type"] = "keyUp"
		delete(p, "text")
		t.Command("Input.dispatchKeyEvent", p)
	}
}

// write types text into what has the focus, over what is there.
func (t *tab) write(text string) {
	t.Helper()
	chromium.Eval[any](t.Tab, "document.activeElement.select && document.activeElement.select()")
	t.Command("Input.insertText", map[string]any{"text": text})
}

// leave presses keys that lead to another page, and waits for that.
func (t *tab) leave(names ...string) {
	t.Helper()
	chromium.Eval[any](t.Tab, "void (window.left = true)")
	t.press(names...)
	t.arrived()
}

func (t *tab) arrived() {
	t.Helper()
	// What is to have the focus gets it when the page is drawn, which may be after it is complete.
	t.Await("the next page", `!window.left && document.readyState == "complete" &&
		(document.activeElement != document.body || !document.querySelector("[autofocus]:not(:disabled)"))`)
	if broken := chromium.Eval[[]string](t.Tab, "window.violations || []"); len(broken) > 0 {
		t.Errorf("%s breaks its own policy: %v", t.path(), broken)
	}
}

func (t *tab) visit(path string) {
	t.Helper()
	t.Follow("location.href = %s", t.origin+path)
	t.arrived()
}

func (t *tab) path() string { return chromium.Eval[string](t.Tab, "location.pathname") }

// focused is what has the focus, as a screen reader tells it.
func (t *tab) focused() string {
	return chromium.Eval[string](t.Tab, `(() => { const e = document.activeElement; return (e.id && document.querySelector('label[for="' + e.id + '"]') || e.closest("label") || e).textContent.trim().replace(/\s+/g, " ") })()`)
}

// tabTo presses Tab until something has the focus.
func (t *tab) tabTo(what string) {
	t.Helper()
	for range 150 {
		if strings.HasPrefix(t.focused(), what) {
			if !chromium.Eval[bool](t.Tab, `(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle != "none" && parseFloat(s.outlineWidth) >= 2 })()`) {
				t.Errorf("%s: nobody sees that %q has the focus", t.path(), what)
			}
			return
		}
		t.press("Tab")
	}
	t.Fatalf("%s: %q cannot be reached by the keyboard", t.path(), what)
}

func (t *tab) wide(width int) {
	t.Command("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false})
}

// look leaves a picture of the page where ROTUNDA_PICTURES names a folder.
func (t *tab) look(name string) {
	folder := os.Getenv("ROTUNDA_PICTURES")
	if folder == "" {
		return
	}
	var picture struct{ Data []byte }
	raw := t.Command("Page.captureScreenshot", map[string]any{"format": "png"})
	var text struct{ Data string }
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Fatal(err)
	}
	picture.Data, _ = base64.StdEncoding.DecodeString(text.Data)
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture.Data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func openBrowser(t *testing.T, s *site) *tab {
	t.Helper()
	b := chromium.Start(t, "--ignore-certificate-errors", "--hide-scrollbars")
	p := &tab{b.Open("about:blank"), t, s.web.URL}
	p.Await("a page", "document.readyState == 'complete'")
	p.Command("Page.enable", nil)
	p.Command("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `addEventListener("securitypolicyviolation", (e) => (window.violations ||= []).push(e.effectiveDirective + " " + e.blockedURI))`})
	p.wide(1280)
	return p
}

func TestWithTheKeyboardAloneASpaceIsMadeChangedAndDeleted(t *testing.T) {
	// Not beside others: it looks at the focus as soon as a page has come.
	s := newSite(t, startBridge(t))
	p := openBrowser(t, s)
	p.visit("/login")
	if got := p.focused(); got != "User name" {
		t.Errorf("at first: want the user name in focus, got %q", got)
	}
	p.write("admin")
	p.press("Tab")
	p.write("wrong")
	p.leave("Enter")
	if got := chromium.Eval[string](p.Tab, `document.querySelector("[role=alert]").textContent.trim()`); got != "Wrong user name or password." {
		t.Errorf("a wrong password: got %q", got)
	}
	if got := p.focused(); got != "Password" {
		t.Errorf("after a wrong password: want the password in focus, got %q", got)
	}
	p.write(password)
	p.leave("Enter")
	if p.path() != "/status" {
		t.Fatalf("after signing in: got %s", p.path())
	}
	p.press("Tab")
	if got := p.focused(); got != "Skip to content" {
		t.Errorf("the first stop: want the way to the content, got %q", got)
	}
	p.press("Enter")
	p.Await("the content has the focus", `document.activeElement.id == "main"`)

	p.visit("/status")
	p.tabTo("Spaces")
	p.leave("Enter")
	p.tabTo("Add space")
	p.leave("Enter")
	p.Await("the name has the focus", `document.activeElement.id == "f-name"`)
	p.write("Call 001")
	p.press("Tab")
	p.write("88001")
	p.look("keyboard-add")
	p.leave("Enter")
	text := chromium.Eval[string](p.Tab, "document.querySelector('main').textContent.replace(/\\s+/g, ' ')")
	wants(t, "after adding", text, "Space “Call 001” added.", "88001")

	// A second one, which is then given the first one's URI in the explorer.
	p.visit("/configuration/api/coSpaces?new")
	p.tabTo("name")
	p.write("Another")
	p.press("Tab")
	p.write("88002")
	p.leave("Enter")
	space := p.path()
	p.tabTo("uri")
	p.write("88001")
	p.leave("Enter")
	if got := chromium.Eval[string](p.Tab, `document.querySelector("#f-uri-error").textContent.trim()`); !strings.HasPrefix(got, "Another space already uses this URI.") {
		t.Errorf("the error at the URI: got %q", got)
	}
	if got := chromium.Eval[string](p.Tab, "document.activeElement.id + '=' + document.activeElement.value"); got != "f-uri=88001" {
		t.Errorf("after the error: want the URI in focus as it was typed, got %s", got)
	}
	if !chromium.Eval[bool](p.Tab, `(() => { const i = document.querySelector("#f-uri").getBoundingClientRect(), e = document.querySelector("#f-uri-error").getBoundingClientRect(); return e.height > 0 && e.top >= i.bottom && e.top - i.bottom < 20 && Math.abs(e.left - i.left) < 4 })()`) {
		t.Error("the error is not below its field")
	}
	p.look("keyboard-error")
	p.write("88003")
	p.leave("Enter")
	if p.path() != space {
		t.Errorf("after the correction: want the space's page, got %s", p.path())
	}

	if !chromium.Eval[bool](p.Tab, `document.querySelector("[data-needs-allow]").disabled`) {
		t.Error("Delete can be pressed before Allow delete is ticked")
	}
	p.tabTo("Allow delete")
	p.press(" ")
	p.tabTo("Delete")
	p.leave("Enter")
	wants(t, "the question", chromium.Eval[string](p.Tab, "document.querySelector('main').textContent"), "Delete this", "Another")
	if got := p.focused(); got != "Keep" {
		t.Errorf("at the question: want Keep in focus, got %q", got)
	}
	p.press("Shift+Tab")
	p.leave("Enter")
	wants(t, "after the deletion", chromium.Eval[string](p.Tab, "document.querySelector('main').textContent"), "deleted.")

	p.visit("/configuration/spaces?edit=" + space[len(space)-36:])
	wants(t, "what was deleted", chromium.Eval[string](p.Tab, "document.querySelector('main').textContent"), "It is not there")
	p.visit("/user")
	p.tabTo("Sign out")
	p.leave("Enter")
	if p.path() != "/login" {
		t.Errorf("after signing out: got %s", p.path())
	}
}

// signIn signs in by the form.
func (t *tab) signIn(user string) {
	t.Helper()
	t.visit("/login")
	t.write(user)
	t.press("Tab")
	t.write(password)
	t.leave("Enter")
}

func TestEveryPageFitsOntoAPhone(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	space := made(t, v, "coSpaces", "v.name", "A meeting with a name that is quite long and holdsAWordWithoutAnyBlanksInIt", "v.uri", strings.Repeat("long.", 12))
	p := openBrowser(t, s)
	p.signIn("admin")
	p.wide(390)
	for _, path := range append([]string{space, "/configuration/spaces?edit=" + space[len(space)-36:], explorerPath + "/callLegProfiles?new", explorerPath + "/coSpaces",
		explorerPath + "/view/system/status"}, allPages()[:20]...) {
		p.visit(path)
		if w := chromium.Eval[int](p.Tab, "document.documentElement.scrollWidth"); w > 390 {
			t.Errorf("%s is %d wide", path, w)
		}
	}
	p.visit("/configuration/spaces")
	p.look("phone-spaces")
	// The menu opens and closes without script: it is a link.
	if chromium.Eval[bool](p.Tab, `document.querySelector("#menu").offsetParent !== null || document.querySelector("#menu").getClientRects().length > 0`) {
		t.Error("the menu covers a phone")
	}
	p.tabTo("Menu")
	p.press("Enter")
	p.Await("the menu is open", `document.querySelector("#menu").getClientRects().length > 0`)
	p.look("phone-menu")
	p.press("Escape")
	p.Await("the menu is closed", `document.querySelector("#menu").getClientRects().length == 0`)
}

func TestTheDirectoryPageKeepsThreeObjects(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	v := s.signedIn("admin")
	if !has(v.get("/configuration/directory").find("button", "class", "main")[0], "disabled") {
		t.Error("Sync now can be pressed before there is anything to import")
	}
	page := v.submit(v.get("/configuration/directory"), "save", "v.server.address", "ldap.example.com", "v.server.portNumber", "port", "v.source.filter", "(mail=*)")
	wants(t, "slips in two parts", page.main(), "use a number from 1 to 65535", "Fill in this field.")
	page = v.submit(page, "save", "v.server.portNumber", "636", "v.server.secure", "true", "v.server.password", "secret-1", "v.source.baseDn", "dc=example,dc=com",
		"v.mapping.jidMapping", "$uid$@example.com", "v.mapping.nameMapping", "$cn$", "v.general.restrictSearchToSearcherOu", "true")
	wants(t, "Active Directory", page.main(), "Active Directory: saved.")
	page = v.get("/configuration/directory")
	for id, want := range map[string]string{"f-server.address": "ldap.example.com", "f-source.filter": "(mail=*)", "f-mapping.nameMapping": "$cn$", "f-server.password": ""} {
		if got := attribute(page.find("input", "id", id)[0], "value"); got != want {
			t.Errorf("%s: want %q, got %q", id, want, got)
		}
	}
	source := v.get(explorerPath + "/ldapSources").main()
	wants(t, "the source", source, "dc=example,dc=com", "(mail=*)")
	v.submit(v.get("/configuration/directory"), "save", "v.mapping.nameMapping", "$displayName$")
	if n := strings.Count(v.get(explorerPath+"/ldapMappings").main(), "View or edit"); n != 1 {
		t.Errorf("a change made another mapping: want 1, got %d", n)
	}
}

// TestAnImportShowsItsProgress has a stand-in for the Call Bridge that answers what an import goes through: a real one cannot be halted
// at each step.
func TestAnImportShowsItsProgress(t *testing.T) {
	t.Parallel()
	const id = "7d2c3a5e-4a0c-4b1f-9e54-0d4f5a9f4a11"
	var step atomic.Int32
	states := []string{"<state>pending</state>", "<state>inProgress</state><numUsersImported>120</numUsersImported>",
		"<state>failed</state><failureReason>clashOccurred</failureReason><numUsersImported>240</numUsersImported>"}
	dir, err := os.MkdirTemp("", "wa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	standIn := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<ldapSync id="%s">%s</ldapSync>`, id, states[step.Load()])
	})}
	go func() { _ = standIn.Serve(l) }()
	t.Cleanup(func() { standIn.Close() })
	s := newSite(t, l.Addr().String())
	p := openBrowser(t, s)
	p.signIn("admin")
	p.visit("/configuration/directory/progress/" + id)
	chromium.Eval[any](p.Tab, "void (window.same = true)")
	state := func(want string) {
		t.Helper()
		p.Await("the page says "+want, `window.same && document.querySelector("#live .state").textContent == %s`, want)
	}
	state("Waiting")
	if got := chromium.Eval[string](p.Tab, `(() => { const e = document.querySelector("#live"); return e.getAttribute("aria-live") + " " + e.getAttribute("aria-busy") })()`); got != "polite true" {
		t.Errorf("progress: want it told politely while it is busy, got %q", got)
	}
	step.Store(1)
	state("Running")
	wants(t, "progress", chromium.Eval[string](p.Tab, `document.querySelector("#live").textContent`), "120")
	p.look("sync-running")
	step.Store(2)
	state("Failed")
	wants(t, "why", chromium.Eval[string](p.Tab, `document.querySelector("#live").textContent`), "Two entries of the directory would get the same", "240")
	p.Await("nobody waits any more", `document.querySelector("#live").getAttribute("aria-busy") == "false" && !document.querySelector("progress")`)
	p.look("sync-failed")
	// Somebody who was signed out meanwhile is told so by the page itself.
	p.visit("/status")
	s.pass(absoluteLimit)
	p.Await("the form to sign in", `location.pathname == "/login" && document.body.textContent.includes("You were signed out")`)
}

func TestWithoutScriptEverythingWorks(t *testing.T) {
	t.Parallel()
	s := newSite(t, startBridge(t))
	p := openBrowser(t, s)
	p.Command("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	p.Command("Page.navigate", map[string]any{"url": s.web.URL + "/login"})
	// What the tests themselves evaluate runs all the same.
	p.Await("the form", `document.activeElement.id == "user"`)
	p.write("admin")
	p.press("Tab")
	p.write(password)
	p.press("Enter")
	p.Await("the first page", `location.pathname == "/status" && document.readyState == "complete"`)
	p.Command("Page.navigate", map[string]any{"url": s.web.URL + "/configuration/spaces?add=1"})
	p.Await("the form", `document.activeElement.id == "f-name"`)
	p.write("No script")
	p.press("Enter")
	p.Await("the space", `document.querySelector("main").textContent.includes("Space “No script” added.")`)
	p.Command("Page.navigate", map[string]any{"url": s.web.URL + "/configuration/api/coSpaces"})
	p.Await("the list", `!!document.querySelector("[data-needs-allow]") && !document.querySelector("[data-needs-allow]").disabled`)
	p.tabTo("Delete")
	p.press("Enter")
	p.Await("the reminder", `document.querySelector("main").textContent.includes("Tick “Allow delete” first.")`)
}
