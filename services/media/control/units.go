package control

// Estimate is what a leg costs in load units: [Leg.Units] when set, otherwise by its streams and their caps. Manager and
// worker count by it alike. A call counts in full when it sends and receives; a half for each direction, because
// decoding and scaling what comes costs about as much as a shared encode of what goes.
func Estimate(l Leg) int {
	if l.Units > 0 {
		return l.Units
	}
	units := picture(l.Video)
	if l.Presentation != nil {
		// One leg sends it and everybody gets the same picture: a leg bears a quarter.
		units += picture(l.Presentation) / 4
	}
	if len(l.Transports) == 0 {
		for _, s := range l.Sinks {
			// A recording or a push has a canvas of its own that is encoded and never decoded.
			units += class(or(s.Width, 1280), or(s.Height, 720), 30) / 2
		}
	}
	// Sound is in the figure of a call with pictures; a leg that only waits costs as much as one that is heard.
	return max(units, UnitsAudio)
}

// visible is how many pictures a layout usually shows at one time.
const visible = 9

// EstimateSpan is what a worker that has some pictures of a conference itself bears for those of its guests, in load units: it
// has to decode the ones that are shown, as every worker of the conference does, and the units of its own legs pay for as
// many of them as it has legs. The sound of all other workers is less than one leg's.
func EstimateSpan(own, guests int) int {
	return UnitsAudio + max(0, min(visible-own, guests))*Units720p30/2
}

// picture is the cost of one stream in both directions.
func picture(v *Video) int {
	if v == nil {
		return 0
	}
	half := class(or(v.MaxWidth, 1280), or(v.MaxHeight, 720), or(v.MaxRate, 30)) / 2
	send := half
	if v.Slots > 0 {
		// Slots are forwarded, not encoded.
		send = half / 4
	}
	switch v.Direction {
	case Inactive:
		return 0
	case SendOnly:
		return send
	case ReceiveOnly:
		return half
	}
	return send + half
}

// class rounds a cap up to one of the guide's classes by its pixels a second; beyond 1080p30 it grows in proportion.
func class(width, height, rate int) int {
	switch n := width * height * rate; {
	case n <= 848*480*30:
		return UnitsSD
	case n <= 1280*720*30:
		return Units720p30
	default:
		return Units1080p30 * max(1, (n+1920*1088*30-1)/(1920*1088*30))
	}
}

func or(v, otherwise int) int {
	if v > 0 {
		return v
	}
	return otherwise
}
