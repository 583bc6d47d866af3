package commands

import (
	"fmt"
	"time"

	"rotunda/mmp/commands/probe"
	"rotunda/mmp/grammar"
)

// defaultEchoes is how many echo requests a ping sends: enough to see loss, and a script gets its answer in seconds.
const defaultEchoes = 5

func (d Deps) reachCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "ping <host> [<count:1..10000>]", Roles: readers,
			Help: "Send echo requests to a host, one a second",
			Detail: fmt.Sprintf("%d unless a count is given; Ctrl-C ends it early. The exit status is 1 if nothing was answered.",
				defaultEchoes),
			Run: d.ping,
		},
		{
			Syntax: "traceroute <host>", Roles: readers,
			Help:   "Show the route to a host",
			Detail: fmt.Sprintf("By UDP, %d hops at most, three probes a hop; Ctrl-C ends it early.", probe.MaxHops),
			Run:    d.traceroute,
		},
	}
}

func milliseconds(t time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(t.Microseconds())/1000)
}

func (d Deps) ping(c *grammar.Call) error {
	host, count := c.Arg("host"), defaultEchoes
	if c.Has("count") {
		count = c.Int("count")
	}
	to, err := d.Prober.Lookup(c.Context, host)
	if err != nil {
		return err
	}
	c.Printf("PING %s (%s): 56 data bytes\n", host, to)
	sent, received := 0, 0
	var least, most, sum time.Duration
	err = d.Prober.Ping(c.Context, to, count, func(e probe.Echo) {
		sent++
		switch {
		case !e.From.IsValid():
			c.Printf("no answer: icmp_seq=%d\n", e.Seq)
		case e.Problem != "":
			c.Printf("from %s: icmp_seq=%d %s\n", e.From, e.Seq, e.Problem)
		default:
			c.Printf("%d bytes from %s: icmp_seq=%d ttl=%d time=%s\n", e.Bytes, e.From, e.Seq, e.Hops, milliseconds(e.RTT))
			if received == 0 || e.RTT < least {
				least = e.RTT
			}
			received, most, sum = received+1, max(most, e.RTT), sum+e.RTT
		}
	})
	if err != nil && c.Context.Err() == nil {
		return err
	}
	if sent > 0 {
		c.Printf("%d packets transmitted, %d received, %d%% packet loss\n", sent, received, (sent-received)*100/sent)
	}
	if received > 0 {
		c.Printf("round-trip min/avg/max = %.3f/%.3f/%s\n", float64(least.Microseconds())/1000,
			float64((sum/time.Duration(received)).Microseconds())/1000, milliseconds(most))
	}
	if err == nil && received == 0 {
		err = fmt.Errorf("%s does not answer", host)
	}
	return err
}

func (d Deps) traceroute(c *grammar.Call) error {
	host := c.Arg("host")
	to, err := d.Prober.Lookup(c.Context, host)
	if err != nil {
		return err
	}
	c.Printf("traceroute to %s (%s), %d hops max\n", host, to, probe.MaxHops)
	reached := false
	err = d.Prober.Trace(c.Context, to, func(h probe.Hop) {
		c.Printf("%2d ", h.Number)
		var before probe.Answer
		for _, a := range h.Answers {
			switch {
			case !a.From.IsValid():
				c.Printf(" *")
				continue
			case a.From != before.From:
				c.Printf(" %s", a.From)
			}
			c.Printf("  %s", milliseconds(a.RTT))
			if a.Problem != "" && a.Problem != before.Problem {
				c.Printf(" (%s)", a.Problem)
			}
			before = a
			reached = reached || a.From == to
		}
		c.Printf("\n")
	})
	if err == nil && !reached {
		err = fmt.Errorf("the route does not reach %s", host)
	}
	return err
}
