package cdr

import (
	"encoding/xml"
	"strings"
)

// parsed is a record as a receiver reads it.
type parsed struct {
	Session    string `xml:"-"`
	Type       string `xml:"type,attr"`
	Time       string `xml:"time,attr"`
	Index      int    `xml:"recordIndex,attr"`
	Correlator int    `xml:"correlatorIndex,attr"`
	Missing    int    `xml:"numPreceedingRecordsMissing,attr"`
	Inner      string `xml:",innerxml"`
}

func parse(document string) []parsed {
	var d struct {
		XMLName xml.Name `xml:"records"`
		Session string   `xml:"session,attr"`
		Records []parsed `xml:"record"`
	}
	if err := xml.NewDecoder(strings.NewReader(document)).Decode(&d); err != nil {
		return []parsed{{Type: "unreadable: " + err.Error()}}
	}
	for i := range d.Records {
		d.Records[i].Session = d.Session
	}
	return d.Records
}
