package metrics

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxSamples of one metric, and maxValue of a label: names come from configurations, and from daemons that may be someone else's.
	maxSamples = 1000
	maxValue   = 200
)

// Page is the figures of one moment.
type Page struct {
	daemon  string
	samples map[string]map[string]float64 // by name and rendered labels
	// wrong is what was set and is not declared.
	wrong []string
}

// NewPage is an empty page of a daemon.
func NewPage(daemon string) *Page {
	return &Page{daemon: daemon, samples: map[string]map[string]float64{}}
}

// Set is one sample: the values of the labels in the order of [Table]. What is not declared is left out; [Page.Wrong] says so, to
// tests.
func (p *Page) Set(name string, value float64, labels ...string) {
	m := find(p.daemon, name)
	if m == nil || len(labels) != len(m.Labels) {
		p.wrong = append(p.wrong, name)
		return
	}
	p.put(m, value, labels)
}

// Truth is a sample that is 1 or 0.
func (p *Page) Truth(name string, value bool, labels ...string) {
	n := 0.0
	if value {
		n = 1
	}
	p.Set(name, n, labels...)
}

// Wrong are the names that were set and are not declared so.
func (p *Page) Wrong() []string { return p.wrong }

func (p *Page) put(m *Metric, value float64, labels []string) {
	var b strings.Builder
	for i, v := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=\"%s\"", m.Labels[i], escape(v))
	}
	all := p.samples[m.Name]
	if all == nil {
		all = map[string]float64{}
		p.samples[m.Name] = all
	}
	if _, known := all[b.String()]; known || len(all) < maxSamples {
		all[b.String()] = value
	}
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func escape(v string) string {
	v = strings.ToValidUTF8(v, "?")
	if len(v) > maxValue {
		v = strings.ToValidUTF8(v[:maxValue], "")
	}
	return escapes.Replace(v)
}

// take brings in the samples of another page.
func (p *Page) take(o *Page) {
	for name, all := range o.samples {
		p.samples[name] = all
	}
}

// Write writes the text, in the order of the table.
func (p *Page) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, d := range Table {
		for _, m := range d.Metrics {
			all := p.samples[m.Name]
			if len(all) == 0 {
				continue
			}
			fmt.Fprintf(out, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", m.Name, m.Help, m.Kind)
			for _, labels := range sorted(all) {
				out.WriteString(m.Name)
				if labels != "" {
					out.WriteString("{" + labels + "}")
				}
				out.WriteString(" " + strconv.FormatFloat(all[labels], 'g', -1, 64) + "\n")
			}
		}
	}
	return out.Flush()
}

func sorted(all map[string]float64) []string {
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// maxText bounds what a daemon may say.
const maxText = 1 << 20

// Read takes the text of a daemon, and of it what is declared for that daemon; all else is left out. It holds for any bytes.
func Read(daemon string, r io.Reader) (*Page, error) {
	p := NewPage(daemon)
	in := bufio.NewScanner(io.LimitReader(r, maxText))
	for in.Scan() {
		if line := in.Text(); line != "" && line[0] != '#' {
			p.line(line)
		}
	}
	return p, in.Err()
}

// line is one sample: name{label="value",…} number.
func (p *Page) line(text string) {
	end := strings.IndexAny(text, "{ ")
	if end < 0 {
		return
	}
	m := find(p.daemon, text[:end])
	if m == nil {
		p.wrong = append(p.wrong, text[:end])
		return
	}
	values := make([]string, len(m.Labels))
	rest := text[end:]
	seen := 0
	if rest[0] == '{' {
		for rest = rest[1:]; ; {
			if strings.HasPrefix(rest, "}") {
				rest = rest[1:]
				break
			}
			name, after, ok := strings.Cut(rest, `="`)
			i := slices.Index(m.Labels, name)
			if !ok || i < 0 {
				return
			}
			value, after, ok := unquote(after)
			if !ok {
				return
			}
			values[i] = value
			seen++
			rest = strings.TrimPrefix(after, ",")
		}
	}
	number, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
	if err != nil || seen != len(m.Labels) || number-number != 0 {
		// Infinities and what is no number are of no use to anybody.
		return
	}
	p.put(m, number, values)
}

// unquote reads to the closing quotation mark.
func unquote(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			i++
			if i == len(text) {
				return "", "", false
			}
			if text[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", false
}
