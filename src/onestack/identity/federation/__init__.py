"""Federation: users who prove at another identity service who they are."""
