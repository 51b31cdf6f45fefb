"""Case sets as files: made up (`synthesis`), or checked as the organisers deliver them (`official`). No Django."""
