package sample;

import org.junit.BeforeClass;
import org.junit.Test;

/** A class that cannot begin: its tests never run. */
public class BrokenTest {
    @BeforeClass
    public static void breaks() {
        throw new IllegalStateException("nothing to begin with");
    }

    @Test
    public void neverRuns() {}
}
