"""From a run's folder to what people read: one HTML page, the terminal's summary, JUnit, the trend over runs."""
