package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rotunda/init/capture"
	"rotunda/init/control"
	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
)

// CaptureRoom says how large a capture may become and what it has to leave of the disk, in bytes.
type CaptureRoom interface {
	CaptureRoom(name string) (limit int64, spare uint64, err error)
}

// BundleMaker makes the log bundle that stays and returns its name.
type BundleMaker interface {
	GenerateBundle(ctx context.Context, p files.Person) (name string, size int64, err error)
}

// captureNames have the time in UTC in a form that file names may have.
const captureNames = "20060102T150405Z"

// stopPatience is how long a capture may take to end: init ends it after 20 seconds by force.
const stopPatience = 30 * time.Second

func (d Deps) diagnosticCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "pcap <interface>", Roles: admins,
			Help: "Capture the packets of an interface, in both directions, until Ctrl-C",
			Detail: fmt.Sprintf("They are in a file <host name>-<interface>-<time in UTC>.pcap at SFTP, with nanoseconds and %d bytes of each at most. A capture ends by "+
				"itself at 512 MiB and before the disk is full. There is one at a time on an interface.", capture.Snap),
			Run: d.capture,
		},
		{
			Syntax: "generate_logbundle", Roles: admins,
			Help: "Make generatedlogbundle.tar.gz for SFTP, in the place of the one before",
			Detail: "It has what logbundle.tar.gz has, which is made while it is fetched: logs, configuration without secrets, health, alarms and the state of the " +
				"services.",
			Run: d.generateBundle,
		},
		{
			Syntax: "serial", Roles: readers,
			Help: "Show the serial number of this machine",
			Run:  d.showSerial,
		},
		{
			Syntax: "model", Roles: readers,
			Help: "Show which machine this is",
			Run:  d.showModel,
		},
		{
			Syntax: "ps", Roles: readers,
			Help:   "Show the processes of the services",
			Detail: "The memory is that of the process itself.",
			Run:    d.showProcesses,
		},
	}
}

func (d Deps) person(c *grammar.Call) files.Person {
	return files.Person{User: c.Caller.User, Role: c.Caller.Role, Source: c.Caller.Source}
}

// capture ends with the context: Ctrl-C, the end of the session or of the channel.
func (d Deps) capture(c *grammar.Call) error {
	if d.Captures == nil {
		return errors.New("there is no storage that a capture could be written to")
	}
	running, _, err := d.look(c)
	if err != nil {
		return err
	}
	now, err := d.Machine.Clock(c.Context)
	if err != nil {
		return err
	}
	name := c.Arg("interface")
	file := fmt.Sprintf("%s-%s-%s.pcap", running.Hostname, name, now.UTC().Format(captureNames))
	limit, spare, err := d.Captures.CaptureRoom(file)
	if err != nil {
		return err
	}
	// What has been captured is told after Ctrl-C, so the capture does not end with the context but by a word.
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Context))
	defer cancel()
	stopped := make(chan struct{})
	stop := context.AfterFunc(c.Context, func() {
		defer close(stopped)
		if err := d.Machine.StopCapture(ctx, name); err != nil {
			// It has not begun, has just ended, or cannot be told: nothing is left to wait for.
			cancel()
			return
		}
		late := time.AfterFunc(stopPatience, cancel)
		<-ctx.Done()
		late.Stop()
	})
	result, err := d.Machine.Capture(ctx, control.CaptureOrder{Interface: name, File: file, Limit: limit, Reserve: spare}, func() {
		c.Printf("Capturing the packets of interface %s into %s; Ctrl-C ends it\n", name, file)
	})
	cancel()
	if !stop() {
		<-stopped
	}
	if err != nil && c.Context.Err() != nil && errors.Is(err, context.Canceled) {
		c.Printf("The capture was ended\n")
		return nil
	}
	if err != nil {
		return err
	}
	switch result.Ended {
	case control.CaptureLimit:
		c.Printf("The capture has reached its largest size, %s\n", size(uint64(limit)))
	case control.CaptureDisk:
		c.Printf("The capture was ended because the disk is almost full: remove files that are not needed any more\n")
	}
	c.Printf("%d packets captured, %d dropped\n%s (%s) ready for download via SFTP\n", result.Packets, result.Dropped, file, size(uint64(result.Bytes)))
	return nil
}

func (d Deps) generateBundle(c *grammar.Call) error {
	if d.Bundles == nil {
		return errors.New("there is no storage that a log bundle could be written to")
	}
	name, bytes, err := d.Bundles.GenerateBundle(c.Context, d.person(c))
	if err != nil {
		return err
	}
	c.Printf("%s (%s) ready for download via SFTP\n", name, size(uint64(bytes)))
	return nil
}

func (d Deps) showSerial(c *grammar.Call) error {
	r, err := d.Machine.Release(c.Context)
	if err != nil {
		return err
	}
	if r.Serial == "" {
		c.Printf("Serial : none\n")
		return nil
	}
	c.Printf("Serial : %s\n", printable(r.Serial))
	return nil
}

func (d Deps) showModel(c *grammar.Call) error {
	r, err := d.Machine.Release(c.Context)
	if err != nil {
		return err
	}
	c.Printf("Model    : %s\nPlatform : %s\n", printable(r.Board), printable(r.Platform))
	if r.Hardware != "" {
		c.Printf("Hardware : %s\n", printable(r.Hardware))
	}
	return nil
}

func (d Deps) showProcesses(c *grammar.Call) error {
	h, err := d.Machine.Health(c.Context)
	if err != nil {
		return err
	}
	rows := [][]string{{"PID", "SERVICE", "STATE", "UPTIME", "MEMORY"}, {"1", "init", "ready", elapsed(h.Uptime), size(h.Memory.InitRSS)}}
	for _, s := range h.Services {
		if s.PID == 0 {
			continue
		}
		memory := "-"
		if s.RSS > 0 {
			memory = size(s.RSS)
		}
		rows = append(rows, []string{fmt.Sprint(s.PID), s.Name, s.State, elapsed(s.Uptime), memory})
	}
	table(c, "", rows)
	return nil
}
