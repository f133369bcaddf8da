package sample;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import org.junit.Ignore;
import org.junit.Test;

/** Each way in which a test can end. */
public class SampleTest {
    @Test
    public void passes() {
        System.out.println("said by one that passes: ]]> & <tag>");
    }

    @Test
    public void fails() {
        assertEquals("sums & <more>", 5, 2 + 2);
    }

    @Test
    public void failsWithoutMessage() {
        throw new AssertionError();
    }

    @Test
    public void errs() {
        throw new IllegalStateException("out of the test");
    }

    @Test
    @Ignore("not today")
    public void skipped() {}

    @Test
    public void passesAtItsSecondAttempt() throws IOException {
        assertTrue("first attempt", !new File("attempted").createNewFile());
    }
}
